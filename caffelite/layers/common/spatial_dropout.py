from ..base import TRAIN, register
from .dropout import Dropout


@register("SpatialDropout")
class SpatialDropout(Dropout):
    """y = x * mask / (1 - r) in TRAIN, with mask 0 for channels at random, a share r; else y = x.

    Bottom
        0: x, (N, C, ...); for each sample, other channels are drawn
    Top
        0: y, the shape of x; may reuse x's memory
    Options (spatial_dropout_param)
        dropout_ratio: r, the probability of a 0, from 0 to below 1 [0.5]
    Source
        Tompson, Goroshin, Jain, LeCun, Bregler 2015, arXiv:1411.4280
    """

    options_field = "spatial_dropout_param"

    @property
    def drops(self):
        return self.phase == TRAIN

    @property
    def factor(self):
        one = self.dtype.type(1)
        return one / self.dtype.type(1 - self.options.dropout_ratio) if self.drops else one

    def drawn_shape(self, shape):
        return (*shape[:2], *(1 for _ in shape[2:]))
