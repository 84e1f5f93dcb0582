from ...kernels.axpy import axpy
from .base import UpdateRule, register


@register("Nesterov")
class Nesterov(UpdateRule):
    """h' <- rate g + m h;  w -= (1 + m) h' - m h, with m = momentum.

    Nesterov 1983; Sutskever, Martens, Dahl, Hinton 2013.
    """

    reads = ("momentum",)
    history_names = ("momentum",)

    def update(self, blob, history, rate, t):
        g, h, m = blob.diff, history["momentum"], self.param.momentum
        before = h.copy()
        h *= m
        axpy(rate, g, h)
        g[...] = before * -m
        axpy(1 + m, h, g)
