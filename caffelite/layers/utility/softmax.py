import math

import numpy as np

from ...kernels import softmax as kernels
from ..base import Layer, register


def softmax(x, axis, out):
    """out = exp(x) / (sum of exp(x) along axis); the maximum goes first, against overflow.

    `out` may be x.
    """
    axis %= x.ndim
    shape = math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1 :])
    y = np.ascontiguousarray(out)  # out itself, unless its values lie apart
    kernels.forward(np.ascontiguousarray(x).reshape(shape), y.reshape(shape))
    if y is not out:
        out[...] = y


@register("Softmax")
class Softmax(Layer):
    """y = exp(x) / (sum of exp(x) along `axis`).

    Bottom
        0: x, any shape
    Top
        0: y, the shape of x; may reuse x's memory
    Options (softmax_param)
        axis: of the classes, along which y adds up to 1 [1]
        engine: changes nothing; CUDNN is refused [DEFAULT]
    """

    options_field = "softmax_param"
    role = "result"
    applies = "Softmax"
    keeps_space = True
    drawn_as = "activation"
    in_place = True
    replays = True
    reads_top = "values"

    def infer_shapes(self, bottom_shapes):
        self.canonical_axis(self.options.axis, len(bottom_shapes[0]))
        return bottom_shapes

    def reach(self, bottom, top):
        axis = self.canonical_axis(self.options.axis, len(bottom))
        return super().reach(bottom, top) if axis < 2 else None

    def forward(self, bottom, top):
        softmax(bottom[0].data, self.options.axis, out=top[0].data)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            y, dy = top[0].data, top[0].diff
            mean = (dy * y).sum(self.options.axis, keepdims=True)  # of dy, with the weights y
            dx = bottom[0].diff
            np.subtract(dy, mean, out=dx)
            dx *= y
