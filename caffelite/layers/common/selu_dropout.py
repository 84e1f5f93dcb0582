import math

import numpy as np

from ..activation._elementwise import Elementwise
from ..base import TRAIN, register


@register("SeLuDropout")
class SeLuDropout(Elementwise):
    """y = a * (x or, at random places, alpha) + b in TRAIN, a share r of them; else y = x.

    a = 1 / sqrt((1 - r) (1 + alpha^2 r)) and b = -a r alpha keep mean 0 and variance 1.

    Bottom
        0: x, any shape
    Top
        0: y, the shape of x; may reuse x's memory
    Options (selu_dropout_param)
        dropout_ratio: r, the probability of an alpha, from 0 to below 1 [0.1]
        alpha: where the negative side of a SeLu ends [-1.75809934]
    Source
        Klambauer, Unterthiner, Mayr, Hochreiter 2017, arXiv:1706.02515
    """

    options_field = "selu_dropout_param"
    role = "activation"
    in_place = True

    def setup(self, bottom_shapes):
        ratio, alpha = self.options.dropout_ratio, self.options.alpha
        if not 0 <= ratio < 1:
            raise self.error(f"dropout_ratio is {ratio:g}, expected at least 0 and below 1")
        self.a = 1 / math.sqrt((1 - ratio) * (1 + alpha**2 * ratio))
        self.b = -self.a * ratio * alpha

    def forward(self, bottom, top):
        x, y = bottom[0].data, top[0].data
        if self.phase == TRAIN:
            chance = self.chances(x.shape)
            self.kept = np.asarray(chance >= self.options.dropout_ratio)
            y[...] = self.a * np.where(self.kept, x, self.options.alpha) + self.b
        else:
            y[...] = x

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            slope = self.a * self.kept if self.phase == TRAIN else 1
            bottom[0].diff[...] = top[0].diff * slope
