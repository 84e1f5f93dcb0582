import math

from ..base import Layer, register
from ._share import share


@register("Reshape")
class Reshape(Layer):
    """y is x with the same values in another shape.

    Bottom
        0: x, any shape
    Top
        0: y, sharing x's memory
    Options (reshape_param)
        shape: the new axes; dim 0 copies the axis of x at this place, one dim may be -1, for
            whatever the number of values asks for
        axis: first axis of x that they replace; -1: behind the last one [0]
        num_axes: how many axes of x they replace; -1: all to the end [-1]
    """

    options_field = "reshape_param"
    keeps_order = True
    keeps_space = True  # where the axes of space stay as they are

    def infer_shapes(self, bottom_shapes):
        shape = tuple(bottom_shapes[0])
        start, end = self._replaced(shape)
        dims = [self._dim(i, dim, shape, start) for i, dim in enumerate(self.options.shape.dim)]
        if dims.count(-1) > 1:
            raise self.error("shape: has more than one dim -1; only one can be worked out")
        if -1 in dims:
            sizes = [d for d in (*shape[:start], *dims, *shape[end:]) if d != -1]
            total, known = math.prod(shape), math.prod(sizes)
            if known == 0:  # no samples: the same as for one
                total, known = (math.prod(max(d, 1) for d in axes) for axes in (shape, sizes))
            if total % known:
                raise self._count_error(shape, dims, f"a multiple of {known} values")
            dims[dims.index(-1)] = total // known
        result = (*shape[:start], *dims, *shape[end:])
        if math.prod(result) != math.prod(shape):
            raise self._count_error(shape, dims, f"{math.prod(result)} values")
        return [result]

    def _replaced(self, shape):
        """The range of axes that the new ones replace."""
        axis, num_axes = self.options.axis, self.options.num_axes
        start = axis if axis >= 0 else len(shape) + axis + 1
        if not 0 <= start <= len(shape):
            raise self.error(
                f"axis: {axis} is out of range for a bottom with {len(shape)} axes, "
                f"expected {-len(shape) - 1} to {len(shape)}"
            )
        end = len(shape) if num_axes == -1 else start + num_axes
        if not start <= end <= len(shape):
            raise self.error(
                f"num_axes: {num_axes} from axis {start} on does not fit a bottom of shape "
                f"{shape}, expected -1 (to the end) to {len(shape) - start}"
            )
        return start, end

    def _dim(self, index, dim, shape, start):
        if dim < -1:
            raise self.error(f"shape: dim {dim} is not a size, 0 (copy) or -1 (work out)")
        if dim == 0 and start + index >= len(shape):
            raise self.error(
                f"shape: dim {index} is 0, which copies axis {start + index} of the bottom, "
                f"but that has shape {shape}"
            )
        return dim or shape[start + index]

    def _count_error(self, shape, dims, expected):
        return self.shape_error(
            0, shape, f"{expected} for shape {{ {' '.join(f'dim: {d}' for d in dims)} }}"
        )

    def reshape(self, bottom, top):
        super().reshape(bottom, top)
        share(self, bottom[0], top[0])

    def forward(self, bottom, top):
        """Nothing to do: the top shares the bottom's data."""

    def backward(self, top, propagate_down, bottom):
        """Nothing to do: the top shares the bottom's diff."""
