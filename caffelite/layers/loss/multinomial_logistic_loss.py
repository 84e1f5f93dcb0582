import numpy as np

from ..base import register
from ._loss import Loss, check_label_per_sample, read_labels

SMALLEST = 1e-20
"""Probabilities count as at least this in a logarithm."""


@register("MultinomialLogisticLoss")
class MultinomialLogisticLoss(Loss):
    """L = -(sum over N samples of log p[label]) / N.

    SoftmaxWithLoss, which makes the probabilities itself, has the steadier gradient.

    Bottom
        0: p, probabilities; for each of N samples one per class
        1: labels, whole numbers from 0 to classes - 1, one per sample
    Top
        0: L, one number
    """

    labels = (1,)
    compares = "classes"

    def infer_shapes(self, bottom_shapes):
        tops = super().infer_shapes(bottom_shapes)
        check_label_per_sample(self, bottom_shapes)
        return tops

    def forward(self, bottom, top):
        self.samples = max(1, bottom[0].shape[0])
        p = bottom[0].data.reshape(self.samples, -1)
        labels = read_labels(self, bottom[1], p.shape[1]).reshape(-1)
        self.at_label = np.arange(labels.size), labels
        self.likelihood = np.maximum(p[self.at_label], SMALLEST)
        top[0].data[...] = -np.log(self.likelihood).sum() / self.samples

    def backward(self, top, propagate_down, bottom):
        self.refuse_label_gradient(propagate_down)
        if propagate_down[0]:
            dp = bottom[0].diff.reshape(self.samples, -1)
            dp[...] = 0
            dp[self.at_label] = -float(top[0].diff) / (self.samples * self.likelihood)
