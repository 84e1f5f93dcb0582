import math

import numpy as np

from ..base import Layer, register


@register("Axpy")
class Axpy(Layer):
    """z = a * x + y, with a factor for each sample and channel.

    Bottom
        0: a, (N, C) or (N, C, 1, ...)
        1: x, (N, C, ...)
        2: y, the shape of x
    Top
        0: z, the shape of x
    Source
        Hu, Shen, Sun 2018, arXiv:1709.01507
    """

    pointwise = True
    bottoms = 3

    @classmethod
    def coordinates(cls, options, index):
        return super().coordinates(options, index) if index > 0 else None

    def infer_shapes(self, bottom_shapes):
        a, x, y = (tuple(shape) for shape in bottom_shapes)
        if len(x) < 2:
            raise self.shape_error(1, x, "at least 2 axes")
        if a[:2] != x[:2] or any(size != 1 for size in a[2:]):
            raise self.shape_error(0, a, f"{x[:2]}, a number for each channel of bottom[1]")
        if y != x:
            raise self.shape_error(2, y, f"{x}, that of bottom[1]")
        return [x]

    def _rows(self, array):
        """(N * C, the rest)."""
        return array.reshape(math.prod(array.shape[:2]), math.prod(array.shape[2:]))

    def forward(self, bottom, top):
        a, x, y = (self._rows(b.data) for b in bottom)
        z = self._rows(top[0].data)
        np.multiply(a, x, out=z)
        z += y

    def backward(self, top, propagate_down, bottom):
        dz = self._rows(top[0].diff)
        if propagate_down[0]:
            da = np.einsum("ij,ij->i", dz, self._rows(bottom[1].data))
            bottom[0].diff[...] = da.reshape(bottom[0].shape)
        if propagate_down[1]:
            np.multiply(self._rows(bottom[0].data), dz, out=self._rows(bottom[1].diff))
        if propagate_down[2]:
            bottom[2].diff[...] = top[0].diff
