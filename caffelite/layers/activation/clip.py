import numpy as np

from ...kernels.epilogue import CLIPPED
from ..base import register
from ._elementwise import Elementwise


@register("Clip")
class Clip(Elementwise):
    """y = min where x < min, max where x > max, else x.

    Bottom
        0: x, any shape
    Top
        0: y, the shape of x; may reuse x's memory
    Options (clip_param)
        min: least value of y, must be given
        max: greatest value of y, must be given
    """

    options_field = "clip_param"
    infinite = "min", "max"
    in_place = True

    def setup(self, bottom_shapes):
        for field in ("min", "max"):
            if not self.options.HasField(field):
                raise self.error(f"{field} is missing; Clip needs both min and max")
        if self.options.min > self.options.max:
            raise self.error(f"min is {self.options.min:g}, above max, {self.options.max:g}")

    def activation(self):
        return {"activation": CLIPPED, "low": self.options.min, "high": self.options.max}

    def forward(self, bottom, top):
        x, low, high = bottom[0].data, self.options.min, self.options.max
        if self.needs_backward:
            self.inside = (x >= low) & (x <= high)
        np.clip(x, low, high, out=top[0].data)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            np.multiply(top[0].diff, self.inside, out=bottom[0].diff)
