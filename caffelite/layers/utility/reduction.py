import math

import numpy as np

from ..base import Layer, register


@register("Reduction")
class Reduction(Layer):
    """y = coeff * the sum of x, |x| or x^2, or the mean of x, over the axes from `axis` to the end.

    Bottom
        0: x, any shape
    Top
        0: y, the axes of x before `axis`
    Options (reduction_param)
        operation: SUM, ASUM (absolute values), SUMSQ (squares) or MEAN [SUM]
        axis: the first one to go, negative: from the end [0]
        coeff: factor [1]
    """

    options_field = "reduction_param"

    def infer_shapes(self, bottom_shapes):
        shape = bottom_shapes[0]
        return [shape[: self.canonical_axis(self.options.axis, len(shape))]]

    def _rows(self, array):
        """The array as (kept axes, reduced axes), and what one value of the sum counts."""
        axis = self.canonical_axis(self.options.axis, array.ndim)
        rows = array.reshape(math.prod(array.shape[:axis]), math.prod(array.shape[axis:]))
        mean = self.options.operation == self.options.MEAN
        return rows, self.options.coeff / (rows.shape[1] or 1) if mean else self.options.coeff

    def forward(self, bottom, top):
        x, factor = self._rows(bottom[0].data)
        operation = self.options.operation
        if operation == self.options.ASUM:
            y = abs(x).sum(axis=1)
        elif operation == self.options.SUMSQ:
            y = np.einsum("ij,ij->i", x, x)
        else:
            y = x.sum(axis=1)
        top[0].data[...] = (factor * y).reshape(top[0].shape)

    def backward(self, top, propagate_down, bottom):
        if not propagate_down[0]:
            return
        x, factor = self._rows(bottom[0].data)
        dx, _ = self._rows(bottom[0].diff)
        dy = factor * top[0].diff.reshape(-1, 1)
        operation = self.options.operation
        if operation == self.options.ASUM:
            np.multiply(np.sign(x), dy, out=dx)
        elif operation == self.options.SUMSQ:
            np.multiply(x, 2 * dy, out=dx)
        else:
            dx[...] = dy
