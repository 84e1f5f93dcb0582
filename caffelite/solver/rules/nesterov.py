import numpy as np

from ...kernels.axpy import axpy
from .base import register
from .sgd import SGD


@register("Nesterov")
class Nesterov(SGD):
    """h' <- rate g + m h;  w -= (1 + m) h' - m h, with m = momentum.

    With rate_in_history: false, h' <- g + m h;  w -= rate ((1 + m) h' - m h).
    Nesterov 1983; Sutskever, Martens, Dahl, Hinton 2013.
    """

    def update(self, blob, history, rate, t):
        g, h, m = blob.diff, history["momentum"], self.param.momentum
        inside, outside = self.rates(rate)
        before = h.copy()
        h *= m
        axpy(inside, g, h)
        np.multiply(before, -m * outside, out=g)
        axpy((1 + m) * outside, h, g)
