import numpy as np

from ...kernels.axpy import axpy
from .base import UpdateRule, register


@register("SGD")
class SGD(UpdateRule):
    """h <- rate g + momentum h;  w -= h.

    The learning rate is inside the history, so a change of rate acts on new gradients only. With
    rate_in_history: false it is outside, h <- g + momentum h;  w -= rate h, so that it acts on all
    steps: the same while the rate stays. A snapshot tells which h it holds: it is resumed with the
    option that it was written with, or not at all.
    """

    reads = ("momentum", "rate_in_history")
    history_names = ("momentum",)

    def rates(self, rate):
        """(what multiplies a gradient on its way into the history, what multiplies the step)."""
        return (rate, 1.0) if self.param.rate_in_history else (1.0, rate)

    def update(self, blob, history, rate, t):
        g, h, (inside, outside) = blob.diff, history["momentum"], self.rates(rate)
        h *= self.param.momentum
        axpy(inside, g, h)
        np.multiply(h, outside, out=g)
