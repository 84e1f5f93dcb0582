import numpy as np

from .._keep import keep_bottom
from ..base import register
from ._elementwise import Elementwise
from .exp import log_of_base


@register("Log")
class Log(Elementwise):
    """y = ln(shift + scale * x) / ln(base).

    Bottom
        0: x, any shape; shift + scale * x = 0 gives -inf, below 0 gives NaN
    Top
        0: y, the shape of x; may reuse x's memory
    Options (log_param)
        base: above 0 and not 1, or -1 for e [-1]
        scale: factor of x [1]
        shift: added to scale * x [0]
    """

    options_field = "log_param"
    in_place = True

    def setup(self, bottom_shapes):
        self.log_base = log_of_base(self)
        if self.log_base == 0:
            raise self.error("base is 1, of which no power is anything but 1; expected another")

    def _argument(self, x):
        return np.asarray(self.options.scale * x + self.options.shift)

    def forward(self, bottom, top):
        self.x = keep_bottom(self, bottom, top)
        y = self._argument(bottom[0].data)
        with np.errstate(divide="ignore", invalid="ignore"):
            np.log(y, out=y)
        np.divide(y, self.log_base, out=top[0].data)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            with np.errstate(divide="ignore", invalid="ignore"):
                slope = self.options.scale / self.log_base / self._argument(self.x.data)
                np.multiply(top[0].diff, slope, out=bottom[0].diff)
