import math
from itertools import accumulate

import numpy as np

from ...kernels import join
from ..base import Layer, register
from ..options import axis_or_dim
from ._share import share


@register("Concat")
class Concat(Layer):
    """y is the bottoms side by side along one axis.

    Bottom
        0...: x_i, of one shape but for that axis
    Top
        0: y; with a single bottom it shares x_0's memory
    Options (concat_param)
        axis: where to join, negative: from the end [1]
        concat_dim: old name of axis
    """

    options_field = "concat_param"
    role = "middle"
    keeps_space = True
    replays = joins = True
    bottoms = (1, None)

    def infer_shapes(self, bottom_shapes):
        first = tuple(bottom_shapes[0])
        axis = axis_or_dim(self, "concat_dim", len(first))
        for index, shape in enumerate(bottom_shapes):
            if len(shape) != len(first) or any(
                shape[i] != first[i] for i in range(len(first)) if i != axis
            ):
                raise self.shape_error(
                    index, shape, f"{first}, that of bottom[0], but for axis {axis}"
                )
        total = sum(shape[axis] for shape in bottom_shapes)
        return [(*first[:axis], total, *first[axis + 1 :])]

    def reshape(self, bottom, top):
        super().reshape(bottom, top)
        if len(bottom) == 1:
            share(self, bottom[0], top[0])

    def forward(self, bottom, top):
        self.join(bottom, top, filled=())

    def join(self, bottom, top, filled):
        """`forward`, where the parts for the bottoms of the places `filled` have values already."""
        if len(bottom) > 1 and top[0].count:
            rows, columns = self._rows(top), self._columns(bottom, top)
            left = {
                at: blob.data.reshape(rows, -1)
                for place, (at, blob) in enumerate(zip(columns, bottom, strict=True))
                if place not in filled
            }
            join.join(left, top[0].data.reshape(rows, -1))

    def parts(self, bottom, top):
        """For each bottom, the part of the top's data that has its values."""
        y = top[0].data
        axis = axis_or_dim(self, "concat_dim", y.ndim)
        ends = list(accumulate(blob.shape[axis] for blob in bottom))
        return np.split(y, ends[:-1], axis)

    def _rows(self, top):
        """Of matrices whose columns are along the axis and those after it."""
        return math.prod(top[0].shape[: axis_or_dim(self, "concat_dim", len(top[0].shape))])

    def _columns(self, bottom, top):
        """The first column of each bottom in such a matrix of the top."""
        rows = self._rows(top)
        return list(accumulate((blob.count // rows for blob in bottom[:-1]), initial=0))

    def backward(self, top, propagate_down, bottom):
        if len(bottom) == 1 or top[0].count == 0:
            return
        rows, columns = self._rows(top), self._columns(bottom, top)
        wanted = {
            at: blob.diff.reshape(rows, -1)
            for at, blob, wants in zip(columns, bottom, propagate_down, strict=True)
            if wants
        }
        join.part(top[0].diff.reshape(rows, -1), wanted)
