import numpy as np

from ..base import register
from ._loss import Loss, check_same_shapes


@register("TripletLoss")
class TripletLoss(Loss):
    """L = (sum over N samples of max(0, margin + |a - p|^2 - |a - n|^2)) / (2 N).

    Bottom
        0: a, an anchor for each sample, (N, ...)
        1: p, one of the same class, the shape of a
        2: n, one of another class, the shape of a
    Top
        0: L, one number
    Options (triplet_loss_param)
        margin: by how much n shall be further from a, in squared distance [1]
    Source
        Schroff, Kalenichenko, Philbin 2015, arXiv:1503.03832
    """

    options_field = "triplet_loss_param"
    bottoms = 3
    no_gradient = ()

    def infer_shapes(self, bottom_shapes):
        tops = super().infer_shapes(bottom_shapes)
        check_same_shapes(self, bottom_shapes)
        return tops

    def forward(self, bottom, top):
        a, p, n = (blob.data for blob in bottom)
        rest = tuple(range(1, a.ndim))
        distance = np.sum((a - p) ** 2 - (a - n) ** 2, rest, keepdims=True)
        losses = np.maximum(self.options.margin + distance, 0)
        self.active = losses > 0
        top[0].data[...] = losses.sum() / (2 * max(1, len(a)))

    def backward(self, top, propagate_down, bottom):
        a, p, n = (blob.data for blob in bottom)
        scale = self.active * (float(top[0].diff) / max(1, len(a)))
        for blob, wanted, difference in zip(
            bottom, propagate_down, (n - p, p - a, a - n), strict=True
        ):
            if wanted:
                blob.diff[...] = difference * scale
