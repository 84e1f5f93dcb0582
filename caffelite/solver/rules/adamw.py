import math

import numpy as np

from ...errors import SolverError
from .adam import Adam
from .base import register


@register("AdamW")
class AdamW(Adam):
    """w -= rate weight_decay w;  h <- b1 h + (1 - b1) g;  h2 <- b2 h2 + (1 - b2) g^2;
    w -= rate h / (1 - b1^t) / (sqrt(h2 / (1 - b2^t)) + delta), with b1 = momentum, b2 = momentum2.

    Adam whose weight_decay shrinks the weights themselves, and not by way of the gradient, where
    it would be divided by that gradient's size. Loshchilov, Hutter 2019, arXiv:1711.05101
    """

    def check(self):
        super().check()
        kind = self.param.regularization_type
        if self.param.weight_decay and kind != "L2":
            raise SolverError(
                f'AdamW: regularization_type: "{kind}" cannot be: its weight_decay shrinks the '
                "weights themselves; leave regularization_type out, or take Adam"
            )

    def decay(self, blob, amount, rate):
        if amount:
            np.multiply(blob.data, 1 - rate * amount, out=blob.data)

    def update(self, blob, history, rate, t):
        g = blob.diff
        h, h2, b1, b2 = self.average(g, history)
        g[...] = h / (np.sqrt(h2) / math.sqrt(1 - b2**t) + self.param.delta)
        g *= rate / (1 - b1**t)
