from ..kernels.axpy import axpy
from .base import Solver, register_solver


@register_solver("SGD")
class SGDSolver(Solver):
    """h <- rate g + momentum h;  w -= h.

    The learning rate is inside the history, so a change of rate acts on new gradients only.
    """

    reads = ("momentum",)
    history_names = ("momentum",)

    def update(self, blob, history, rate):
        g, h = blob.diff, history["momentum"]
        h *= self.param.momentum
        axpy(rate, g, h)
        g[...] = h
