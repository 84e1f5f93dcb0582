from ...kernels.axpy import axpy
from .base import UpdateRule, register


@register("SGD")
class SGD(UpdateRule):
    """h <- rate g + momentum h;  w -= h.

    The learning rate is inside the history, so a change of rate acts on new gradients only.
    """

    reads = ("momentum",)
    history_names = ("momentum",)

    def update(self, blob, history, rate, t):
        g, h = blob.diff, history["momentum"]
        h *= self.param.momentum
        axpy(rate, g, h)
        g[...] = h
