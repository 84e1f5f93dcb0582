import numpy as np

from ..activation._elementwise import Elementwise
from ..base import TRAIN, register


@register("Dropout")
class Dropout(Elementwise):
    """y = x * mask / (1 - r) in TRAIN, with mask 0 at random places, a share r of them; else y = x.

    Bottom
        0: x, any shape
    Top
        0: y, the shape of x; may reuse x's memory
    Options (dropout_param)
        dropout_ratio: r, the probability of a 0, from 0 to below 1 [0.5]
        scale_train: false: y = x * mask in TRAIN, and y = x * (1 - r) in TEST [true]
        sample_weights_test: drop in TEST as in TRAIN (Monte Carlo dropout) [false]
    Source
        Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov 2014
    """

    options_field = "dropout_param"
    role = "activation"
    in_place = True
    keeps_signs = True

    def setup(self, bottom_shapes):
        ratio = self.options.dropout_ratio
        if not 0 <= ratio < 1:
            raise self.error(f"dropout_ratio is {ratio:g}, expected at least 0 and below 1")

    @property
    def drops(self):
        return self.phase == TRAIN or self.options.sample_weights_test

    @property
    def replays(self):
        return self._passes_on

    @property
    def _passes_on(self):
        """Whether it works in place, and leaves its bottom as it is."""
        return not self.drops and self.factor == 1 and self.param.bottom == self.param.top

    @property
    def factor(self):
        """What values that are kept are multiplied with."""
        one, kept = self.dtype.type(1), self.dtype.type(1 - self.options.dropout_ratio)
        if self.options.scale_train:
            return one / kept if self.drops else one
        return one if self.drops else kept

    def drawn_shape(self, shape):
        """The shape of what is drawn for x of this shape; it spreads over x."""
        return shape

    def forward(self, bottom, top):
        if self._passes_on:
            self.scale = self.factor
            return
        x, y = bottom[0].data, top[0].data
        if self.drops:
            chance = self.chances(self.drawn_shape(x.shape))
            self.scale = np.multiply(chance >= self.options.dropout_ratio, self.factor)
        else:
            self.scale = self.factor
        np.multiply(x, self.scale, out=y)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            np.multiply(top[0].diff, self.scale, out=bottom[0].diff)
