from ..base import register
from .relu6 import ReLU6


@register("ReLUX")
class ReLUX(ReLU6):
    """y = min(x, maximal_value) where x > 0, negative_slope * x elsewhere.

    Bottom
        0: x, any shape
    Top
        0: y, the shape of x; may reuse x's memory if negative_slope >= 0
    Options (relux_param)
        negative_slope: slope below 0 [0]
        maximal_value: the largest y, above 0 [6]
    """

    options_field = "relux_param"

    def setup(self, bottom_shapes):
        self.limit = self.options.maximal_value
        if not self.limit > 0:
            raise self.error(f"maximal_value is {self.limit:g}, expected a number above 0")
        self.slope = self.dtype.type(self.options.negative_slope)
