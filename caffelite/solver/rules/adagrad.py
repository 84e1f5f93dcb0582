import numpy as np

from ...errors import SolverError
from .base import UpdateRule, register


@register("AdaGrad")
class AdaGrad(UpdateRule):
    """h <- h + g^2;  w -= rate g / (sqrt(h) + delta).  Duchi, Hazan, Singer 2011"""

    reads = ("delta",)
    history_names = never_negative = ("sum of squares",)

    def check(self):
        if self.param.momentum:
            raise SolverError(f"AdaGrad has no momentum, expected 0, not {self.param.momentum:g}")

    def update(self, blob, history, rate, t):
        g, h = blob.diff, history["sum of squares"]
        h += g * g
        g /= np.sqrt(h) + self.param.delta
        g *= rate
