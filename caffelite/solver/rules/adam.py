import math

import numpy as np

from ...errors import SolverError
from ...kernels.axpy import axpy
from .base import UpdateRule, register


@register("Adam")
class Adam(UpdateRule):
    """h <- b1 h + (1 - b1) g;  h2 <- b2 h2 + (1 - b2) g^2;
    w -= rate sqrt(1 - b2^t) / (1 - b1^t) h / (sqrt(h2) + delta), with b1 = momentum,
    b2 = momentum2, t counting from 1.  Kingma, Ba 2015, arXiv:1412.6980"""

    reads = ("momentum", "momentum2", "delta")
    history_names = ("mean", "squares")
    never_negative = ("squares",)

    def check(self):
        for name in ("momentum", "momentum2"):
            value = getattr(self.param, name)
            if not 0 <= value < 1:
                kind = type(self).__name__
                raise SolverError(f"{kind}: {name} must be at least 0 and below 1, not {value:g}")

    def average(self, g, history):
        """Take a gradient into the history; returns h, h2, b1 and b2."""
        b1, b2 = self.param.momentum, self.param.momentum2
        h, h2 = history["mean"], history["squares"]
        h *= b1
        axpy(1 - b1, g, h)
        h2 *= b2
        axpy(1 - b2, g * g, h2)
        return h, h2, b1, b2

    def update(self, blob, history, rate, t):
        g = blob.diff
        h, h2, b1, b2 = self.average(g, history)
        number, correction = g.dtype.type, math.sqrt(1 - b2**t) / (1 - b1**t)
        rate = number(rate) * number(correction)
        g[...] = h / (np.sqrt(h2) + self.param.delta) * rate
