import numpy as np

from ..base import register
from .softmax_with_loss import SoftmaxWithLoss


@register("SoftmaxWithLossOHEM")
class SoftmaxWithLossOHEM(SoftmaxWithLoss):
    """L = -(sum over samples of log p[label]) / normalizer, and the loss of each sample.

    Bottom
        0: x, scores; at axis 1 (or `axis`) one per class
        1: labels, whole numbers from 0 to classes - 1, one per score vector
    Top
        0: L, one number
        1: p, the shape of x, if asked for
        2: -log p[label] of each sample, 0 of ignored ones, the shape of the labels, if asked for;
            no gradient
    Options (softmax_param)
        axis: of the classes [1]
        engine: changes nothing; CUDNN is refused [DEFAULT]
    Options (loss_param)
        ignore_label, normalization, normalize, pre_fixed_normalizer: as in SoftmaxWithLoss
        weight_by_label_freqs, class_weighting: likewise
    Source
        Dai, Li, He, Sun 2016, arXiv:1605.06409 (R-FCN); Shrivastava, Gupta, Girshick 2016,
        arXiv:1604.03540 (OHEM)
    """

    bottoms = 2
    no_gradient = (1,)
    tops = (1, 3)

    def infer_shapes(self, bottom_shapes):
        shapes = [*super().infer_shapes(bottom_shapes), bottom_shapes[0], bottom_shapes[1]]
        return [shapes[0], *shapes[-2:]][: self.num_tops]

    def forward(self, bottom, top):
        super().forward(bottom, top)
        if len(top) > 2:
            likelihood = np.take_along_axis(self.p, self.label, axis=1)
            top[2].data[...] = (self.cost(likelihood) * self.weight).reshape(top[2].shape)
