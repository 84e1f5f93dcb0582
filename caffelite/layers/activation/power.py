import numpy as np

from .._keep import keep_bottom
from ..base import register
from ._elementwise import Elementwise


@register("Power")
class Power(Elementwise):
    """y = (shift + scale * x) ^ power.

    Bottom
        0: x, any shape; a negative base with a broken power gives NaN
    Top
        0: y, the shape of x; may reuse x's memory
    Options (power_param)
        power: exponent [1]
        scale: factor of x [1]
        shift: added to scale * x [0]
    """

    options_field = "power_param"
    in_place = True

    def setup(self, bottom_shapes):
        options = self.options
        self.constant = options.power * options.scale == 0
        self.is_linear = options.power == 1

    def _raised(self, x, power):
        """(shift + scale * x) ^ power, in a new array; with scale 0 one number, whatever x is."""
        scale, shift = self.options.scale, self.dtype.type(self.options.shift)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            base = scale * x + shift if scale else shift
            return base if power == 1 else base**power

    def forward(self, bottom, top):
        options = self.options
        if self.constant or self.is_linear:
            self.x = bottom[0]  # backward does not read it
        else:
            self.x = keep_bottom(self, bottom, top)
        top[0].data[...] = self._raised(bottom[0].data, options.power)

    def backward(self, top, propagate_down, bottom):
        if not propagate_down[0]:
            return
        options, dy, dx = self.options, top[0].diff, bottom[0].diff
        if self.constant:
            dx[...] = 0
        elif self.is_linear:
            np.multiply(dy, options.scale, out=dx)
        else:
            slope = self._raised(self.x.data, options.power - 1)
            slope *= options.power * options.scale
            np.multiply(dy, slope, out=dx)
