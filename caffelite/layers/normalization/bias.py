import numpy as np

from ..base import register
from ._broadcast import Broadcast


@register("Bias")
class Bias(Broadcast):
    """y = x + bias, with the bias repeated along the axes that it lacks.

    Bottom
        0: x, any shape
        1: bias, the shape of some successive axes of x; if missing, it is learned
    Top
        0: y, the shape of x; may reuse x's memory
    Blobs
        bias: with one bottom
    Options (bias_param)
        axis: first axis of x that the bias has [1]
        num_axes: how many axes a learned bias has, -1: all to the end, 0: one number [1]
        filler: of the bias [constant 0]
    """

    options_field = "bias_param"

    def setup(self, bottom_shapes):
        if len(bottom_shapes) == 1:
            self.bias = self.add_blob(
                "bias", self.covered_shape(bottom_shapes[0]), self.options.filler
            )

    def _bias(self, bottom):
        return bottom[1] if len(bottom) > 1 else self.bias

    def forward(self, bottom, top):
        bias = self._bias(bottom)
        x, y = self.fold(bottom[0].data, bias), self.fold(top[0].data, bias)
        np.add(x, bias.data.reshape(-1, 1), out=y)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0] and top[0] is not bottom[0]:
            bottom[0].diff[...] = top[0].diff
        bias = self._bias(bottom)
        dbias = self.fold(top[0].diff, bias).sum(axis=(0, 2)).reshape(bias.shape)
        if len(bottom) > 1:
            if propagate_down[1]:
                bias.diff[...] = dbias
        elif self.param_propagate_down[0]:
            bias.diff[...] += dbias
