import math

from ..base import Layer, register
from ._share import share


@register("Flatten")
class Flatten(Layer):
    """y is x with the axes from `axis` to `end_axis` made one; (N, C, H, W) becomes (N, C H W).

    Bottom
        0: x, any shape
    Top
        0: y, sharing x's memory
    Options (flatten_param)
        axis: first of these axes [1]
        end_axis: last of these axes [-1, the last of x]
    """

    options_field = "flatten_param"
    keeps_order = True

    def infer_shapes(self, bottom_shapes):
        shape = tuple(bottom_shapes[0])
        start = self.canonical_axis(self.options.axis, len(shape))
        end = self.canonical_axis(self.options.end_axis, len(shape), "end_axis") + 1
        if start > end:
            raise self.error(
                f"end_axis: {self.options.end_axis} lies before axis: {self.options.axis} "
                f"in a bottom of shape {shape}"
            )
        return [(*shape[:start], math.prod(shape[start:end]), *shape[end:])]

    def reshape(self, bottom, top):
        super().reshape(bottom, top)
        share(self, bottom[0], top[0])

    def forward(self, bottom, top):
        """Nothing to do: the top shares the bottom's data."""

    def backward(self, top, propagate_down, bottom):
        """Nothing to do: the top shares the bottom's diff."""
