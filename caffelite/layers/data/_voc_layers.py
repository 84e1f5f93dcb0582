"""FCN's Python data layers, in place of their module: pair after pair, each of its own size."""

import ast

import numpy as np

from ...data.transform import DataTransformer
from ...data.voc_pairs import SbddPairSource, VocPairSource
from ...proto.caffe_pb2 import ImageDataParameter, TransformationParameter
from ..base import TRAIN
from ..options import OWN_LAYERS
from ._prefetched import PrefetchedLayer

_KEYS = {"split", "mean", "randomize", "seed"}


class SegDataLayer(PrefetchedLayer):
    """Pictures and labels of pixels, as FCN's VOCSegDataLayer and SBDDSegDataLayer serve them.

    `param_str` is a dict: the folder, `split`, `mean` of blue, green and red, `randomize` [True;
    only where the split is called train or the like] and `seed`. Pairs that are drawn follow from
    it and from their number, so that a run that goes on gets the same ones; they are others than
    the module would draw. A thread reads ahead.
    """

    type = "Python"
    options_field = "python_param"
    ignored = {"python_param.share_in_parallel": OWN_LAYERS}
    files = ()
    tops = 2

    def __init__(self, param, **context):
        super().__init__(param, **context)
        self.given = self._read_param_str()
        self.options = ImageDataParameter(source=self.given[self.folder_key], batch_size=1)

    def _read_param_str(self):
        text, wanted = self.param.python_param.param_str, {self.folder_key, "split", "mean"}
        try:
            found = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            found = None
        if not isinstance(found, dict):
            raise self.error(
                f"param_str: expected a dict of Python, with {_listed(wanted)}: {text}"
            )
        if missing := wanted - set(found):
            raise self.error(f"param_str: lacks {_listed(missing)}")
        if odd := set(found) - _KEYS - {self.folder_key}:
            raise self.error(
                f"param_str: unknown {_listed(odd)}; expected {_listed(_KEYS | {self.folder_key})}"
            )
        mean = found["mean"]
        if not isinstance(mean, (tuple, list)) or len(mean) != 3 or not all(map(_is_number, mean)):
            raise self.error("param_str: 'mean': expected 3 numbers: of blue, green and red")
        if not all(isinstance(found[key], str) for key in (self.folder_key, "split")):
            raise self.error(f"param_str: expected text for {_listed({self.folder_key, 'split'})}")
        seed = found.get("seed")
        if seed is not None and (not isinstance(seed, int) or seed < 0):
            raise self.error(f"param_str: 'seed': {seed!r}, expected a whole number from 0 on")
        return found

    def told_channels(self):
        return 3

    def told_labels(self, batch):
        return [(batch, 1, 0, 0)]

    def stored_shape(self):
        return None

    def open_source(self):
        given = self.given
        draws = bool(given.get("randomize", True)) and "train" in given["split"]
        return self.make_source(given[self.folder_key], given["split"], draws, given.get("seed"))

    def make_transformer(self):
        param = TransformationParameter(mean_value=map(float, self.given["mean"]))
        return DataTransformer(param, self.phase == TRAIN, self.dtype)

    def labels_shape(self, data_shape):
        return (data_shape[0], 1, *data_shape[2:])

    def make_labels(self):
        return _stacked


def _stacked(labels):
    return [np.stack(labels)]


def _is_number(value):
    return isinstance(value, (int, float)) and np.isfinite(value)


def _listed(names):
    return ", ".join(f"'{name}'" for name in sorted(names))


class VOCSegDataLayer(SegDataLayer):
    """That of PASCAL VOC: 'voc_dir' is the folder of a year."""

    folder_key = "voc_dir"
    make_source = VocPairSource


class SBDDSegDataLayer(SegDataLayer):
    """That of SBDD: 'sbdd_dir' is its folder dataset."""

    folder_key = "sbdd_dir"
    make_source = SbddPairSource


STAND_INS = {  # (module, layer) of python_param: what does the same; at first it was layers
    (module, layer.__name__): layer
    for module in ("voc_layers", "layers")
    for layer in (VOCSegDataLayer, SBDDSegDataLayer)
}
