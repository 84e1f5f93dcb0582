import numpy as np

from ..base import register
from ._elementwise import Elementwise


@register("TanH")
class TanH(Elementwise):
    """y = tanh(x).

    Bottom
        0: x, any shape
    Top
        0: y, the shape of x; may reuse x's memory
    Options (tanh_param)
        engine: changes nothing; CUDNN is refused [DEFAULT]
    """

    options_field = "tanh_param"
    in_place = True
    reads_top = "values"

    def forward(self, bottom, top):
        # in float64, since its last bit decides 1 - y^2 where y nears 1
        np.tanh(bottom[0].data, out=top[0].data, dtype=np.float64, casting="same_kind")

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            y, dy = top[0].data, top[0].diff
            slope = 1 - np.square(y, dtype=np.float64)  # rounded once, as in Caffe
            np.multiply(dy, slope.astype(y.dtype), out=bottom[0].diff)
