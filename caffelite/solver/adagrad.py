import numpy as np

from ..errors import SolverError
from .base import Solver, register_solver


@register_solver("AdaGrad")
class AdaGradSolver(Solver):
    """h <- h + g^2;  w -= rate g / (sqrt(h) + delta).  Duchi, Hazan, Singer 2011"""

    reads = ("delta",)
    history_names = ("squares",)

    def check(self):
        super().check()
        if self.param.momentum:
            raise SolverError(f"AdaGrad has no momentum, expected 0, not {self.param.momentum:g}")

    def update(self, blob, history, rate):
        g, h = blob.diff, history["squares"]
        h += g * g
        g /= np.sqrt(h) + self.param.delta
        g *= rate
