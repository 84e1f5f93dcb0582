import numpy as np

from ..base import register
from ._elementwise import Elementwise


def sigmoid(x, out):
    """out = 1 / (1 + exp(-x)), by way of tanh, which cannot overflow; out may be x."""
    np.multiply(x, 0.5, out=out)
    np.tanh(out, out=out)
    out *= 0.5
    out += 0.5


@register("Sigmoid")
class Sigmoid(Elementwise):
    """y = 1 / (1 + exp(-x)).

    Bottom
        0: x, any shape
    Top
        0: y, the shape of x; may reuse x's memory
    Options (sigmoid_param)
        engine: changes nothing; CUDNN is refused [DEFAULT]
    """

    options_field = "sigmoid_param"
    role = "result"
    applies = "Sigmoid"
    in_place = True
    reads_top = "values"

    def forward(self, bottom, top):
        sigmoid(bottom[0].data, out=top[0].data)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            y, dy = top[0].data, top[0].diff
            slope = y * (1 - y)
            np.multiply(dy, slope, out=bottom[0].diff)
