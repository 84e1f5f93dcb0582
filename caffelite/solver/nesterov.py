from ..kernels.axpy import axpy
from .base import Solver, register_solver


@register_solver("Nesterov")
class NesterovSolver(Solver):
    """h' <- rate g + m h;  w -= (1 + m) h' - m h, with m = momentum.

    Nesterov 1983; Sutskever, Martens, Dahl, Hinton 2013.
    """

    reads = ("momentum",)
    history_names = ("momentum",)

    def update(self, blob, history, rate):
        g, h, m = blob.diff, history["momentum"], self.param.momentum
        before = h.copy()
        h *= m
        axpy(rate, g, h)
        g[...] = before * -m
        axpy(1 + m, h, g)
