import math

import numpy as np

from ..base import register
from ._elementwise import Elementwise


@register("Exp")
class Exp(Elementwise):
    """y = base ^ (shift + scale * x).

    Bottom
        0: x, any shape
    Top
        0: y, the shape of x; may reuse x's memory
    Options (exp_param)
        base: above 0, or -1 for e [-1]
        scale: factor of x [1]
        shift: added to scale * x [0]
    """

    options_field = "exp_param"
    in_place = True
    reads_top = "values"

    def setup(self, bottom_shapes):
        options = self.options
        log_base = log_of_base(self)
        self.inner = options.scale * log_base  # y = outer * exp(inner * x)
        try:
            self.outer = math.exp(options.shift * log_base)
        except OverflowError:
            raise self.error(f"shift is {options.shift:g}, and base ^ shift too large") from None

    def forward(self, bottom, top):
        x, y = bottom[0].data, top[0].data
        np.multiply(x, self.inner, out=y)
        np.exp(y, out=y)
        y *= self.outer

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            y, dy, dx = top[0].data, top[0].diff, bottom[0].diff
            np.multiply(dy, y, out=dx)
            dx *= self.inner


def log_of_base(layer):
    """ln(base) of an Exp or Log layer, whose base -1 means e."""
    base = layer.options.base
    if base == -1:
        return 1.0
    if not 0 < base < math.inf:
        raise layer.error(f"base is {base:g}, expected a number above 0, or -1 for e")
    return math.log(base)
