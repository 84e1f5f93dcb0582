import numpy as np

from ..base import register
from ._elementwise import Elementwise


@register("BNLL")
class BNLL(Elementwise):
    """y = log(1 + exp(x)): binomial normal log likelihood, also called softplus.

    Bottom
        0: x, any shape
    Top
        0: y, the shape of x; may reuse x's memory
    """

    role = "activation"
    rectifies = True
    in_place = True
    reads_top = "values"

    def forward(self, bottom, top):
        x = bottom[0].data
        small = np.log1p(np.exp(-abs(x)))
        np.maximum(x, 0, out=top[0].data)
        top[0].data[...] += small

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            y, dy = top[0].data, top[0].diff
            slope = -np.expm1(-y)  # = exp(x) / (1 + exp(x))
            np.multiply(dy, slope, out=bottom[0].diff)
