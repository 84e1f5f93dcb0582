import math

import numpy as np

from ..base import register
from ._loss import Loss


@register("ContrastiveLoss")
class ContrastiveLoss(Loss):
    """L = (sum over N pairs of d^2 if similar, else max(margin - d, 0)^2) / (2 N), d = |a - b|.

    The gradient of an unlike pair divides by d + 0.0001 instead of d, as in Caffe.

    Bottom
        0: a, one vector per pair: (N, channels) or (N, channels, 1, 1)
        1: b, the same
        2: similar, one number per pair: not 0 for pairs that belong together; no gradient
    Top
        0: L, one number
    Options (contrastive_loss_param)
        margin: distance from which an unlike pair costs nothing [1]
        legacy_version: an unlike pair costs max(margin - d^2, 0) [false]
    Source
        Hadsell, Chopra, LeCun 2006
    """

    options_field = "contrastive_loss_param"
    bottoms = 3
    no_gradient = (2,)

    def infer_shapes(self, bottom_shapes):
        tops = super().infer_shapes(bottom_shapes)
        a, b, similar = bottom_shapes
        for index, shape in ((0, a), (1, b)):
            if not 1 <= len(shape) <= 4 or math.prod(shape[2:]) != 1:
                raise self.shape_error(index, shape, "(pairs, channels) or (pairs, channels, 1, 1)")
        if math.prod(a[1:2]) != math.prod(b[1:2]):
            raise self.shape_error(1, b, f"{math.prod(a[1:2])} channels, as bottom[0] has")
        if math.prod(similar) != a[0] or similar[:1] != a[:1]:
            raise self.shape_error(2, similar, f"one number for each of {a[0]} pairs")
        return tops

    def forward(self, bottom, top):
        options = self.options
        self.pairs = max(1, bottom[0].shape[0])
        a, b = (blob.data.reshape(self.pairs, -1) for blob in bottom[:2])
        similar = np.trunc(bottom[2].data.reshape(-1, 1)) != 0
        self.difference = a - b
        square = (self.difference**2).sum(axis=1, keepdims=True)
        if options.legacy_version:
            gap = np.maximum(options.margin - square, 0)
            costs = np.where(similar, square, gap)
            push = gap > 0
        else:
            distance = np.sqrt(square)
            gap = np.maximum(options.margin - distance, 0)
            costs = np.where(similar, square, gap**2)
            push = gap / (distance + 1e-4)
        self.pull = np.where(similar, 1, -push.astype(self.dtype)).astype(self.dtype)
        top[0].data[...] = costs.sum() / (2 * self.pairs)

    def backward(self, top, propagate_down, bottom):
        da = self.difference * self.pull
        da *= float(top[0].diff) / self.pairs
        for blob, wanted, sign in zip(bottom[:2], propagate_down, (1, -1), strict=False):
            if wanted:
                np.multiply(da, sign, out=blob.diff.reshape(da.shape))
