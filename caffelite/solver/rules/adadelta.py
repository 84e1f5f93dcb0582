import numpy as np

from ...kernels.axpy import axpy
from .base import UpdateRule, register


@register("AdaDelta")
class AdaDelta(UpdateRule):
    """h <- m h + (1 - m) g^2;  u = g sqrt((delta + h2) / (delta + h));
    h2 <- m h2 + (1 - m) u^2;  w -= rate u, with m = momentum.  Zeiler 2012, arXiv:1212.5701"""

    reads = ("momentum", "delta")
    history_names = never_negative = ("squares", "squares of updates")

    def update(self, blob, history, rate, t):
        g, m, delta = blob.diff, self.param.momentum, self.param.delta
        h, h2 = history["squares"], history["squares of updates"]
        h *= m
        axpy(1 - m, g * g, h)
        g *= np.sqrt((delta + h2) / (delta + h))
        h2 *= m
        axpy(1 - m, g * g, h2)
        g *= rate
