import math

import numpy as np

from ..base import register
from ._loss import Loss


@register("EuclideanLoss")
class EuclideanLoss(Loss):
    """L = (sum of (a - b)^2) / (2 N), with N samples on the first axis.

    Bottom
        0: a, any shape
        1: b, as many samples and values as a
    Top
        0: L, one number
    """

    compares = "values"
    no_gradient = ()

    def infer_shapes(self, bottom_shapes):
        tops = super().infer_shapes(bottom_shapes)
        first, second = (math.prod(shape[1:]) for shape in bottom_shapes)
        if first != second:
            expected = (
                f'{first} values per sample, as bottom[0] "{self.param.bottom[0]}" has, '
                f"not {second}"
            )
            raise self.shape_error(1, bottom_shapes[1], expected)
        return tops

    def forward(self, bottom, top):
        a, b = (blob.data.reshape(-1) for blob in bottom)
        self.difference = a - b
        self.samples = max(1, bottom[0].shape[0])
        top[0].data[...] = np.dot(self.difference, self.difference) / (2 * self.samples)

    def backward(self, top, propagate_down, bottom):
        factor = float(top[0].diff) / self.samples
        for blob, wanted, sign in zip(bottom, propagate_down, (1, -1), strict=True):
            if wanted:
                np.multiply(self.difference, sign * factor, out=blob.diff.reshape(-1))
