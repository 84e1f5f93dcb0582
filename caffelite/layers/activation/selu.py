import numpy as np

from ..base import register
from ._elementwise import Elementwise


@register("SeLu")
class SeLu(Elementwise):
    """y = lambda * x where x > 0, lambda * alpha * (exp(x) - 1) elsewhere.

    Bottom
        0: x, any shape
    Top
        0: y, the shape of x; may reuse x's memory if lambda and alpha are above 0
    Options (selu_param)
        lambda: slope above 0 [1.050700987]
        alpha: y tends to -lambda * alpha for very negative x [1.67326324]
    Source
        Klambauer, Unterthiner, Mayr, Hochreiter 2017, arXiv:1706.02515
    """

    options_field = "selu_param"
    role = "activation"
    rectifies = True
    reads_top = "values"

    @property
    def slope(self):
        return getattr(self.options, "lambda")  # a word of Python's

    @property
    def in_place(self):
        return self.slope > 0 and self.options.alpha > 0  # else y does not tell the sign of x

    def forward(self, bottom, top):
        x = bottom[0].data
        negative = self.options.alpha * np.expm1(np.minimum(x, 0))
        top[0].data[...] = self.slope * np.where(x > 0, x, negative)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            x, y, dy = bottom[0].data, top[0].data, top[0].diff
            slope = np.where(x > 0, self.slope, y + self.slope * self.options.alpha)
            bottom[0].diff[...] = dy * slope
