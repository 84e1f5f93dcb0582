import numpy as np

from ..base import register
from .softmax_with_loss import SMALLEST, SoftmaxWithLoss


@register("FocalLoss")
class FocalLoss(SoftmaxWithLoss):
    """L = -(sum over samples of alpha (1 - p)^gamma log p) / normalizer, p = softmax(x)[label].

    Samples that are told right already count for little.

    Bottom
        0: x, scores; at axis 1 (or `axis`) one per class
        1: labels, whole numbers from 0 to classes - 1, one per score vector
        2: weights of samples, as in SoftmaxWithLoss (optional)
    Top
        0: L, one number
        1: softmax(x), the shape of x, if asked for
    Options (focal_loss_param)
        alpha: a factor, above 0 [0.25]
        gamma: how much less sure samples count, at least 0 [2]
        type: ORIGIN; LINEAR is refused [ORIGIN]
        beta: not read, as it is for LINEAR
    Options (softmax_param)
        axis, engine: as in SoftmaxWithLoss
    Options (loss_param)
        ignore_label, normalization, normalize, pre_fixed_normalizer: as in SoftmaxWithLoss
        weight_by_label_freqs, class_weighting: as in SoftmaxWithLoss
    Source
        Lin, Goyal, Girshick, He, Dollar 2017, arXiv:1708.02002
    """

    more_options = ("focal_loss_param", "loss_param")
    ignored = {"focal_loss_param.beta": "it is of type: LINEAR"}
    refused = {
        "focal_loss_param.type: LINEAR": "is not computed, in Caffe's forks neither; use ORIGIN"
    }

    def setup(self, bottom_shapes):
        focal = self.param.focal_loss_param
        self.alpha, self.gamma = focal.alpha, focal.gamma
        if not self.alpha > 0:
            raise self.error(f"alpha is {self.alpha:g}, expected a number above 0")
        if not self.gamma >= 0:
            raise self.error(f"gamma is {self.gamma:g}, expected at least 0")

    def cost(self, p):
        return self.alpha * (1 - p) ** self.gamma * super().cost(p)

    def slope(self, p):
        share = p * super().cost(p) / np.maximum(1 - p, SMALLEST)  # 1 - p may be 0
        return self.alpha * (1 - p) ** self.gamma * (1 + self.gamma * share)
