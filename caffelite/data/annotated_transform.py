"""From pictures with boxes to the values of a blob, with boxes that follow."""

import copy

import numpy as np

from .. import rng
from ..errors import DataError
from .borders import Expand
from .color import Distort
from .geometry import Warp
from .noise import Degrade
from .transform import DataTransformer

BATCHES_OF_A_SIZE = 10  # until the next of several resize_param is drawn


class AnnotatedTransformer(DataTransformer):
    """What a DataTransformer does, with boxes, and before it what training of detectors draws.

    That is, in this order and where asked for: distort_param, expand_param and a crop, in both
    phases, as in SSD's Caffe; then all that a DataTransformer does, with noise_param behind what
    resizes. With emit_constraint, each crop leaves out the boxes that it cuts off too far.

    Where resize_param is given several times, one of them is drawn for each ten batches, by `prob`,
    as in MobileNet-YOLO.

    Parameters
    ----------
    param, train, dtype
        as for a DataTransformer
    crop
        a step that crops, see `sampler`, made of the resize_param that comes after it; or None
    emit, uncut
        see Boxes
    pads
        whether pictures that are smaller than the crop get a border, as for a PairTransformer
    """

    def __init__(
        self, param, train, dtype=np.float32, crop=None, emit=None, uncut=False, pads=False
    ):
        self.choices = [_with(param, resize) for resize in param.resize_params]
        param = self.choices[0] if self.choices else param
        self.crop_step = crop and crop(param.resize_param)
        self.pads = pads
        super().__init__(param, train, dtype)
        if self.crops_per_sample > 1:
            raise DataError(
                "transform_param: ten_crop and test_size make several pictures of one, whose boxes "
                "would be several, too; leave them out"
            )
        self.emit, self.uncut = emit, uncut
        if param.HasField("emit_constraint"):
            self.emit = param.emit_constraint
        total = sum(choice.resize_param.prob for choice in self.choices)
        if self.choices and not abs(total - 1) <= 0.01:
            raise DataError(
                f"transform_param: the prob of {len(self.choices)} resize_param are {total:g} "
                "together, expected 1"
            )
        more = [train, dtype, crop, emit, uncut, pads]
        others = [AnnotatedTransformer(choice, *more) for choice in self.choices[1:]]
        self.transformers = [self, *others]

    def for_batch(self, seed, number):
        if not self.choices:
            return self
        draw = rng.generator(seed, 7, number // BATCHES_OF_A_SIZE).random()
        probs = np.cumsum([choice.resize_param.prob for choice in self.choices])
        return self.transformers[min(int((draw >= probs).sum()), len(self.transformers) - 1)]

    def prepare(self, image, random, boxes=None):
        boxes.emit, boxes.uncut = self.emit, self.uncut
        return super().prepare(image, random, boxes)

    def _steps_before(self, param, train):
        steps = []
        if param.HasField("distort_param"):
            steps.append(Distort(param.distort_param))
        if param.HasField("expand_param"):
            steps.append(Expand(param.expand_param, self.border()))
        if self.crop_step:
            steps.append(self.crop_step)
        steps += self._resizing(param, train)
        if param.HasField("noise_param"):
            steps.append(Degrade(param.noise_param))
        if train and param.HasField("warp_param"):
            steps.append(Warp(param.warp_param))
        return steps + (self.padding() if self.pads else [])


def _with(param, resize):
    """The same with one resize_param."""
    one = copy.deepcopy(param)
    one.ClearField("resize_params")
    one.resize_param.CopyFrom(resize)
    return one
