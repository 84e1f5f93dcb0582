import numpy as np

from ..base import Layer, register


@register("Permute")
class Permute(Layer):
    """y = x with its axes in another order: axis i of y is axis order[i] of x.

    Bottom
        0: x, any shape
    Top
        0: y
    Options (permute_param)
        order: axes of x, counted from 0; those not named follow in their order
    Source
        Liu et al. 2016, arXiv:1512.02325 (SSD)
    """

    options_field = "permute_param"
    order_option = "order"

    def setup(self, bottom_shapes):
        option, axes = self.order_option, len(bottom_shapes[0])
        order = list(getattr(self.options, option))
        for i, axis in enumerate(order):
            if not 0 <= axis < axes:
                raise self.error(
                    f"{option}: {axis} is out of range for a bottom with {axes} axes, "
                    f"expected 0 to {axes - 1}"
                )
            if axis in order[:i]:
                raise self.error(f"{option}: axis {axis} is named twice")
        self.order = order + [axis for axis in range(axes) if axis not in order]

    def infer_shapes(self, bottom_shapes):
        shape = bottom_shapes[0]
        if len(shape) != len(self.order):
            raise self.shape_error(0, shape, f"{len(self.order)} axes, as at first")
        return [tuple(shape[axis] for axis in self.order)]

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data.transpose(self.order)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff.transpose(np.argsort(self.order))
