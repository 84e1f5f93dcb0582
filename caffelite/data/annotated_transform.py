"""From pictures with boxes to the values of a blob, with boxes that follow."""

import numpy as np

from ..errors import DataError
from .color import Distort
from .geometry import Expand, Warp
from .sampler import SampleCrop
from .transform import DataTransformer


class AnnotatedTransformer(DataTransformer):
    """What a DataTransformer does, with boxes, and before it what SSD's training draws.

    That is, in this order and where asked for: distort_param, expand_param and a crop by
    batch_sampler, in both phases, as in SSD's Caffe; then all that a DataTransformer does. With
    emit_constraint, each crop leaves out the boxes that it cuts off too far.

    Parameters
    ----------
    param, train, dtype
        as for a DataTransformer
    samplers
        BatchSamplers
    """

    def __init__(self, param, train, dtype=np.float32, samplers=()):
        self.samplers = list(samplers)
        super().__init__(param, train, dtype)
        if self.crops_per_sample > 1:
            raise DataError(
                "transform_param: ten_crop and test_size make several pictures of one, whose boxes "
                "would be several, too; leave them out"
            )
        self.emit = param.emit_constraint if param.HasField("emit_constraint") else None

    def prepare(self, image, random, boxes=None):
        boxes.emit = self.emit
        return super().prepare(image, random, boxes)

    def _steps_before(self, param, train):
        steps = []
        if param.HasField("distort_param"):
            steps.append(Distort(param.distort_param))
        if param.HasField("expand_param"):
            means = [] if self.mean is None else self.mean.mean(axis=(1, 2)).clip(0, 255).tolist()
            steps.append(Expand(param.expand_param, means))
        if self.samplers:
            steps.append(SampleCrop(self.samplers))
        steps += self._resizing(param, train)
        if train and param.HasField("warp_param"):
            steps.append(Warp(param.warp_param))
        return steps
