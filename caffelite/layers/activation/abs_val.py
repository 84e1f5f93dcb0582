import numpy as np

from ..base import register
from ._elementwise import Elementwise


@register("AbsVal")
class AbsVal(Elementwise):
    """y = |x|.

    Bottom
        0: x, any shape
    Top
        0: y, the shape of x; its own memory, since y does not tell the sign of x
    """

    def forward(self, bottom, top):
        np.abs(bottom[0].data, out=top[0].data)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            x, dy = bottom[0].data, top[0].diff
            np.multiply(dy, np.sign(x), out=bottom[0].diff)
