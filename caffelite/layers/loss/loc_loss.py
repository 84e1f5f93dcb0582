import numpy as np

from ..base import Layer, register


@register("LocLoss")
class LocLoss(Layer):
    """L = the mean of max(0, |x| - threshold)^2 / 2: it keeps values near 0.

    Made for the shifts of a SpatialTransformer that only moves what it looks at.

    Bottom
        0: x, any shape
    Top
        0: L, one number
    Options (loc_loss_param)
        threshold: up to here values are free; above 0, must be given
    """

    options_field = "loc_loss_param"

    def setup(self, bottom_shapes):
        if not self.options.HasField("threshold"):
            raise self.error("threshold must be given, a number above 0")
        if not self.options.threshold > 0:
            raise self.error(f"threshold is {self.options.threshold:g}, expected a number above 0")

    def infer_shapes(self, bottom_shapes):
        return [()]

    def forward(self, bottom, top):
        x, threshold = bottom[0].data, self.options.threshold
        self.beyond = x - np.clip(x, -threshold, threshold)
        top[0].data[...] = np.vdot(self.beyond, self.beyond) / (2 * max(1, x.size))

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            factor = float(top[0].diff) / max(1, bottom[0].count)
            np.multiply(self.beyond, factor, out=bottom[0].diff)
