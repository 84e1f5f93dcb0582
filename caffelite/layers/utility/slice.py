from itertools import pairwise

import numpy as np

from ..base import Layer, register
from ..options import axis_or_dim
from ._share import share


@register("Slice")
class Slice(Layer):
    """The tops are successive parts of x along one axis.

    Bottom
        0: x, any shape
    Top
        0...: y_i, the shape of x but for that axis; a single top shares x's memory
    Options (slice_param)
        axis: which one to cut, negative: from the end [1]
        slice_point: where each top but the first starts [equal parts]
        slice_dim: old name of axis
    """

    options_field = "slice_param"
    keeps_space = True
    tops = (1, None)

    def infer_shapes(self, bottom_shapes):
        shape = tuple(bottom_shapes[0])
        axis = axis_or_dim(self, "slice_dim", len(shape))
        edges = self._edges(shape, axis)
        sizes = [end - start for start, end in pairwise(edges)]
        return [(*shape[:axis], size, *shape[axis + 1 :]) for size in sizes]

    def _edges(self, shape, axis):
        """Where the parts start, and where the last one ends."""
        size, points, count = shape[axis], list(self.options.slice_point), self.num_tops
        if not points:
            if size % count:
                raise self.shape_error(
                    0, shape, f"a multiple of {count} along axis {axis}, for as many equal tops"
                )
            return [i * (size // count) for i in range(count + 1)]
        if len(points) != count - 1:
            raise self.error(
                f"slice_point is given {len(points)} times, expected {count - 1} "
                f"for {count} tops, or none for equal parts"
            )
        edges = [0, *points, size]
        if any(end <= start for start, end in pairwise(edges)):
            raise self.error(
                f"slice_point: {', '.join(map(str, points))} must rise, from above 0 to below "
                f"{size}, the size of axis {axis} of the bottom"
            )
        return edges

    def reshape(self, bottom, top):
        super().reshape(bottom, top)
        if len(top) == 1:
            share(self, bottom[0], top[0])

    def _parts(self, array):
        axis = axis_or_dim(self, "slice_dim", array.ndim)
        return np.split(array, self._edges(array.shape, axis)[1:-1], axis)

    def forward(self, bottom, top):
        if len(top) > 1:
            for blob, part in zip(top, self._parts(bottom[0].data), strict=True):
                blob.data[...] = part

    def backward(self, top, propagate_down, bottom):
        if len(top) > 1 and propagate_down[0]:
            for blob, part in zip(top, self._parts(bottom[0].diff), strict=True):
                part[...] = blob.diff
