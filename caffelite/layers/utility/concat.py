import math

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
    replays = True
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
        if len(bottom) > 1 and top[0].count:
            rows = self._rows(top)
            join.join([b.data.reshape(rows, -1) for b in bottom], top[0].data.reshape(rows, -1))

    def _rows(self, top):
        """Of matrices whose columns are along the axis and those after it."""
        return math.prod(top[0].shape[: axis_or_dim(self, "concat_dim", len(top[0].shape))])

    def backward(self, top, propagate_down, bottom):
        if len(bottom) == 1 or top[0].count == 0:
            return
        rows, at, wanted = self._rows(top), 0, {}
        for blob, wants in zip(bottom, propagate_down, strict=True):
            if wants:
                wanted[at] = blob.diff.reshape(rows, -1)
            at += blob.count // rows
        join.part(top[0].diff.reshape(rows, -1), wanted)
