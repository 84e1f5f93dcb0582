import math

import numpy as np

from .._keep import keep_bottom
from ..base import Layer, register


@register("MVN")
class MVN(Layer):
    """y = (x - mean) / (deviation + eps), each channel of each sample by its own statistics.

    dx = (dy - mean(dy) - y * mean(dy * y)) / (deviation + eps), as in Caffe: exact for eps 0.

    Bottom
        0: x, up to 4 axes
    Top
        0: y, 4 axes, with 1s behind those of x; may reuse x's memory if x has 4
    Options (mvn_param)
        normalize_variance: divide by the deviation; if false, y = x - mean [true]
        across_channels: statistics of each sample [of each channel of each sample]
        eps: added to the deviation [1e-9]
    """

    options_field = "mvn_param"
    pointwise = True
    drawn_as = "normalization"

    def setup(self, bottom_shapes):
        self.in_place = len(bottom_shapes[0]) == 4

    def infer_shapes(self, bottom_shapes):
        shape = tuple(bottom_shapes[0])
        if len(shape) > 4:
            raise self.shape_error(0, shape, "at most 4 axes")
        return [shape + (1,) * (4 - len(shape))]

    def reach(self, bottom, top):
        return None

    def _rows(self, array, shape):
        """The array as (groups, values with statistics in common)."""
        axes = 1 if self.options.across_channels else 2
        return array.reshape(math.prod(shape[:axes]), math.prod(shape[axes:]))

    def forward(self, bottom, top):
        self.x = keep_bottom(self, bottom, top)
        shape = top[0].shape
        x, y = self._rows(bottom[0].data, shape), self._rows(top[0].data, shape)
        self.mean = x.mean(axis=1, keepdims=True)
        np.subtract(x, self.mean, out=y)
        if self.options.normalize_variance:
            variance = np.einsum("ij,ij->i", y, y)[:, None] / y.shape[1]
            self.slope = 1 / (np.sqrt(variance) + self.options.eps)
            y *= self.slope

    def backward(self, top, propagate_down, bottom):
        if not propagate_down[0]:
            return
        shape = top[0].shape
        dy, dx = self._rows(top[0].diff, shape), self._rows(bottom[0].diff, shape)
        offset = dy.mean(axis=1, keepdims=True)
        if not self.options.normalize_variance:
            np.subtract(dy, offset, out=dx)
            return
        y = (self._rows(self.x.data, shape) - self.mean) * self.slope
        y *= np.einsum("ij,ij->i", dy, y)[:, None] / dy.shape[1]
        np.subtract(dy, offset, out=dx)
        dx -= y
        dx *= self.slope
