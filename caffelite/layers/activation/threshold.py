import numpy as np

from ..base import register
from ._elementwise import Elementwise


@register("Threshold")
class Threshold(Elementwise):
    """y = 1 where x > threshold, 0 elsewhere; there is no gradient.

    Bottom
        0: x, any shape
    Top
        0: y, the shape of x; may reuse x's memory
    Options (threshold_param)
        threshold: what x is compared with [0]
    """

    options_field = "threshold_param"
    in_place = True
    no_gradient = (0,)

    def forward(self, bottom, top):
        np.copyto(top[0].data, bottom[0].data > self.options.threshold)
