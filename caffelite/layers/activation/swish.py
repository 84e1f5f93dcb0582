import numpy as np

from ..base import register
from ._elementwise import Elementwise
from .sigmoid import sigmoid


@register("Swish")
class Swish(Elementwise):
    """y = x * sigmoid(beta * x).

    Bottom
        0: x, any shape
    Top
        0: y, the shape of x; may reuse x's memory
    Options (swish_param)
        beta: factor of x inside the sigmoid [1]
    Source
        Ramachandran, Zoph, Le 2017, arXiv:1710.05941
    """

    options_field = "swish_param"
    role = "activation"
    rectifies = True
    in_place = True
    reads_top = "values"

    def forward(self, bottom, top):
        x = bottom[0].data
        self.gate = np.asarray(self.options.beta * x)
        sigmoid(self.gate, out=self.gate)
        np.multiply(x, self.gate, out=top[0].data)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            y, s, dy = self.options.beta * top[0].data, self.gate, top[0].diff
            slope = y + s * (1 - y)
            np.multiply(dy, slope, out=bottom[0].diff)
