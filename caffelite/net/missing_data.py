"""The shape of samples whose data is not there: as the user says, or as a deploy net does.

A net whose data lies elsewhere can still be counted, drawn and looked at.
"""

import os
import re
from dataclasses import dataclass, field

from ..errors import CaffeliteError
from ..layers import layer_class
from ..proto.text import read_net

COLORS = 3  # channels of a picture whose size is told, if nothing says otherwise
_OF_TRAINING = re.compile("_?(train_?val|train_?test|train|test|val)$")


@dataclass(frozen=True)
class Sample:
    """What to take for the shape of a sample, without the axis of the batch.

    Parameters
    ----------
    shape : that of a net's only input, or first top of its data; None if there are several
    source : who says so
    batch : samples in a batch; 0 for what the data's layer says
    named : {blob: its shape}, where several are known
    readers : {(name, type)} of layers, one of which a net must have for this to be about it
    """

    shape: tuple | None
    source: str
    batch: int = 0
    named: dict = field(default_factory=dict)
    readers: frozenset = frozenset()

    def is_about(self, layers):
        """Whether it is about a net of these LayerParameters."""
        return not self.readers or any((ly.name, ly.type) in self.readers for ly in layers)

    def of(self, name, alone):
        """The shape of the blob, which is `alone` where it could be no other; None if not known."""
        return self.named.get(name, self.shape if alone else None)


def sample_of_deploy(path):
    """The Sample that the deploy net beside a net for training is for, or None if there is none.

    As Caffe's files are called: deploy.prototxt beside train_val.prototxt, x.prototxt or
    x_deploy.prototxt beside x_train_test.prototxt.
    """
    folder, file = os.path.split(os.fspath(path))
    stem, ending = os.path.splitext(file)
    prefix = _OF_TRAINING.sub("", stem)
    for name in (f"{prefix}_deploy", prefix, "deploy"):
        beside = os.path.join(folder, name + ending)
        if name != stem and os.path.isfile(beside):
            try:
                found = _sample_of(read_net(beside), name + ending)
            except CaffeliteError:  # whoever wants that net is told
                continue
            if found:
                return found
    return None


def _sample_of(net, file):
    """The Sample of a net with inputs, or None if they do not tell their shapes."""
    shapes = {}
    for layer in net.layer:
        if layer_class(layer.type).role == "input" and layer.input_param.shape:
            given = list(layer.input_param.shape)
            given *= len(layer.top) if len(given) == 1 else 1
            shapes |= {
                name: tuple(shape.dim[1:]) for name, shape in zip(layer.top, given, strict=False)
            }
    readers = frozenset((ly.name, ly.type) for ly in net.layer if shapes.keys() & {*ly.bottom})
    if not readers:
        return None
    only = next(iter(shapes.values())) if len(shapes) == 1 else None
    return Sample(only, file, named=shapes, readers=readers)


def assumed_shapes(layer, sample, are_labels=False):
    """(shapes of the tops of a layer that brings samples, who says so); None if nobody knows them.

    Parameters
    ----------
    layer : a Layer, not set up
    sample : Sample, or None; what the layer's own options tell goes before it
    are_labels : its first top is labels of the sample's pixels, from a source of their own
    """
    if layer.role not in ("source", "input"):
        return None
    told = layer.told_shapes() or [(...,)] * max(len(layer.param.top), 1)
    batch = (sample.batch if sample else 0) or getattr(layer.options, "batch_size", 0)
    batch = batch or (layer.role == "input")
    given = [
        sample and sample.of(name, k == 0 and (layer.role == "source" or len(told) == 1))
        for k, name in enumerate(layer.param.top)
    ]
    if are_labels and given[0] and len(given[0]) == 3:
        given[0] = (1, *given[0][1:])
    first = _completed(told[0], given[0] if given else None)
    if not batch or first is None:
        return None
    shapes = [first]
    for shape, known in zip(told[1:], given[1:], strict=False):
        if known is None and layer.role == "input":
            return None
        shapes.append(known if known is not None else _label(shape, first))
    by_itself = all(told[0][2:]) and ... not in told[0]
    source = "its own options" if by_itself or sample is None else sample.source
    heads = [batch if shape[0] in (told[0][0], ...) else shape[0] for shape in told]
    return [[int(head), *shape] for head, shape in zip(heads, shapes, strict=False)], source


def _completed(told, given):
    """The shape of a sample, of what the text tells of a top and what is known else, or None."""
    if ... in told:
        return given
    told = told[1:]
    if given is None or len(given) != len(told):
        given = (COLORS, *[0] * (len(told) - 1))
    shape = tuple(size or known for size, known in zip(told, given, strict=True))
    return shape if all(shape) else None


def _label(told, sample):
    """The shape of a sample's label, with the sizes of the sample where it has those."""
    if ... in told:
        return ()
    return tuple(size or sample[axis] for axis, size in enumerate(told[1:]))


def words_of(shapes, source):
    """What to say of shapes that were assumed."""
    return f"its samples are taken to be {'×'.join(map(str, shapes[0][1:]))}, from {source}"
