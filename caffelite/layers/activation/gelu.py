import math

import numpy as np

from ...kernels._jit import kernel
from .._keep import keep_bottom
from ..base import register
from ._elementwise import Elementwise


@register("GELU")
class GELU(Elementwise):
    """y = x * P(x), with P(x) = (1 + erf(x / sqrt(2))) / 2, the share of normal numbers below x.

    Bottom
        0: x, any shape
    Top
        0: y, the shape of x; may reuse x's memory
    Source
        Hendrycks, Gimpel 2016, arXiv:1606.08415
    """

    role = "activation"
    rectifies = True
    in_place = True

    def forward(self, bottom, top):
        self.x = keep_bottom(self, bottom, top)
        x = bottom[0].data
        np.multiply(x, share_below(x), out=top[0].data)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            x, dy = self.x.data, top[0].diff
            density = np.exp(-0.5 * np.square(x)) / math.sqrt(2 * math.pi)
            np.multiply(dy, share_below(x) + x * density, out=bottom[0].diff)


def share_below(x):
    """P(x), in an array of x's shape and type."""
    share = np.empty_like(x)
    _share_below(x.reshape(-1), share.reshape(-1))
    return share


@kernel
def _share_below(x, share):
    for i in range(x.size):
        share[i] = 0.5 * math.erfc(-math.sqrt(0.5) * np.float64(x[i]))
