import math

import numpy as np

from ..base import Layer, register


@register("ArgMax")
class ArgMax(Layer):
    """y = where the largest values of x are, from the largest down; of equals, the later first.

    Bottom
        0: x, any shape; no gradient
    Top
        0: y, without axis: (N, 1, top_k) positions among all values of a sample, or with
            out_max_val (N, 2, top_k), positions and values; then 1s up to the axes of x.
            With axis: x's shape with top_k along it, positions, or with out_max_val the values
    Options (argmax_param)
        top_k: how many [1]
        out_max_val: give values, too (with axis: instead) [false]
        axis: search along this one, negative: from the end [all but the first]
    """

    options_field = "argmax_param"
    role = "result"
    no_gradient = (0,)

    def infer_shapes(self, bottom_shapes):
        shape, k = tuple(bottom_shapes[0]), self.options.top_k
        if self.options.HasField("axis"):
            axis = self.canonical_axis(self.options.axis, len(shape))
            size, where = shape[axis], f"along axis {axis}"
            result = (*shape[:axis], k, *shape[axis + 1 :])
        elif not shape:
            raise self.shape_error(0, shape, "at least 1 axis")
        else:
            size, where = math.prod(shape[1:]), "in a sample"
            result = (*shape[:1], 1 + self.options.out_max_val, k, *(1,) * (len(shape) - 3))
        if not 1 <= k <= size:
            raise self.error(f"top_k: {k} of {size} values {where}, expected 1 to {size}")
        return [result]

    def forward(self, bottom, top):
        x, y = bottom[0].data, top[0].data
        if self.options.HasField("axis"):
            axis = self.canonical_axis(self.options.axis, x.ndim)
            x, y = np.moveaxis(x, axis, -1), np.moveaxis(y, axis, -1)
            positions = self._positions(x)
            values = self.options.out_max_val
            y[...] = np.take_along_axis(x, positions, -1) if values else positions
        else:
            x = x.reshape(len(x), math.prod(x.shape[1:]))
            positions = self._positions(x)
            rows = [positions]
            if self.options.out_max_val:
                rows.append(np.take_along_axis(x, positions, -1))
            y[...] = np.stack(rows, 1).reshape(y.shape)

    def _positions(self, x):
        """Indices along the last axis; counted from the end, the first of equals is the last."""
        backwards = x[..., ::-1]
        if self.options.top_k == 1:
            found = backwards.argmax(-1, keepdims=True)
        else:
            found = np.argsort(-backwards, -1, kind="stable")[..., : self.options.top_k]
        return x.shape[-1] - 1 - found
