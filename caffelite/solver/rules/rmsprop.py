import numpy as np

from ...errors import SolverError
from ...kernels.axpy import axpy
from .base import UpdateRule, register


@register("RMSProp")
class RMSProp(UpdateRule):
    """h <- r h + (1 - r) g^2;  w -= rate g / (sqrt(h) + delta), with r = rms_decay.

    Tieleman, Hinton 2012
    """

    reads = ("rms_decay", "delta")
    history_names = never_negative = ("squares",)

    def check(self):
        if self.param.momentum:
            raise SolverError(f"RMSProp has no momentum, expected 0, not {self.param.momentum:g}")
        if not 0 <= self.param.rms_decay < 1:
            raise SolverError(
                f"RMSProp: rms_decay must be at least 0 and below 1, not {self.param.rms_decay:g}"
            )

    def update(self, blob, history, rate, t):
        g, h, r = blob.diff, history["squares"], self.param.rms_decay
        h *= r
        axpy(1 - r, g * g, h)
        g /= np.sqrt(h) + self.param.delta
        g *= rate
