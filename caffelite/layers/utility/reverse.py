import numpy as np

from ..base import Layer, register


@register("Reverse")
class Reverse(Layer):
    """y[i] = x[n - 1 - i] for the n places along an axis: x backwards.

    Bottom
        0: x, any shape
    Top
        0: y, the shape of x
    Options (reverse_param)
        axis: negative: from the end [0]
    Source
        Tian et al. 2016, arXiv:1609.03605 (CTPN)
    """

    options_field = "reverse_param"

    def infer_shapes(self, bottom_shapes):
        self.axis = self.canonical_axis(self.options.axis, len(bottom_shapes[0]))
        return bottom_shapes

    def forward(self, bottom, top):
        top[0].data[...] = np.flip(bottom[0].data, self.axis)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = np.flip(top[0].diff, self.axis)
