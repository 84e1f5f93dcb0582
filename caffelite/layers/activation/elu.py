import numpy as np

from ..base import register
from ._elementwise import Elementwise


@register("ELU")
class ELU(Elementwise):
    """y = x where x > 0, alpha * (exp(x) - 1) elsewhere.

    Bottom
        0: x, any shape
    Top
        0: y, the shape of x; may reuse x's memory if alpha >= 0
    Options (elu_param)
        alpha: y tends to -alpha for very negative x [1]
    Source
        Clevert, Unterthiner, Hochreiter 2015, arXiv:1511.07289
    """

    options_field = "elu_param"
    role = "activation"
    rectifies = True
    reads_top = "values"

    @property
    def in_place(self):
        return self.options.alpha >= 0  # else y > 0 does not tell the sign of x

    def forward(self, bottom, top):
        x = bottom[0].data
        negative = self.options.alpha * np.expm1(np.minimum(x, 0))
        top[0].data[...] = np.where(x > 0, x, negative)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            x, y, dy = bottom[0].data, top[0].data, top[0].diff
            slope = np.where(x > 0, 1, y + self.options.alpha)
            bottom[0].diff[...] = dy * slope
