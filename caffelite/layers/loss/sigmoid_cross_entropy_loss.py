import math

import numpy as np

from ..activation.sigmoid import sigmoid
from ..base import register
from ._loss import Loss


@register("SigmoidCrossEntropyLoss")
class SigmoidCrossEntropyLoss(Loss):
    """L = (sum of log(1 + exp(x)) - x t) / normalizer: cross entropy of sigmoid(x) against t.

    Bottom
        0: x, scores
        1: t, targets from 0 to 1, as many as scores
    Top
        0: L, one number
    Options (loss_param)
        ignore_label: targets that, cut to whole numbers, equal it do not count
        normalization: the normalizer (at least 1): FULL, all targets; VALID, those not ignored;
            BATCH_SIZE; NONE, 1; PRE_FIXED, pre_fixed_normalizer [BATCH_SIZE]
        normalize: the old form: true for VALID, false for BATCH_SIZE
        pre_fixed_normalizer: see normalization [1]
        class_balanced: weigh the targets of 1 in a sample by the share of those of 0, and these by
            the share of those of 1, as HED's Caffe always does; others do not count [false]
    Source
        class_balanced: Xie, Tu 2015, arXiv:1504.06375 (HED)
    """

    applies = "Sigmoid"
    compares = "multilabel"
    more_options = ("loss_param",)
    default_normalization = "BATCH_SIZE"
    refused = {"loss_param.class_balanced": None}

    def infer_shapes(self, bottom_shapes):
        tops = super().infer_shapes(bottom_shapes)
        scores, targets = (math.prod(shape) for shape in bottom_shapes)
        if scores != targets:
            expected = f'{scores} targets, one per score in bottom[0] "{self.param.bottom[0]}"'
            raise self.shape_error(1, bottom_shapes[1], expected)
        return tops

    def forward(self, bottom, top):
        x, t = bottom[0].data, bottom[1].data.reshape(bottom[0].shape)
        losses = np.log1p(np.exp(-abs(x)))
        losses += np.maximum(x, 0) - x * t
        self.weights, valid = None, x.size
        if self.ignore_label is not None:
            self.weights = np.trunc(t) != self.ignore_label
            valid = np.count_nonzero(self.weights)
        if self.param.loss_param.class_balanced:
            self.weights = _shares(t, 1 if self.weights is None else self.weights)
        if self.weights is not None:
            losses *= self.weights
        self.divisor = self.normalizer(x.shape[0], math.prod(x.shape[1:]), valid)
        top[0].data[...] = losses.sum() / self.divisor

    def backward(self, top, propagate_down, bottom):
        self.refuse_label_gradient(propagate_down)
        if propagate_down[0]:
            x, dx = bottom[0].data, bottom[0].diff
            sigmoid(x, out=dx)
            dx -= bottom[1].data.reshape(x.shape)
            if self.weights is not None:
                dx *= self.weights
            dx *= float(top[0].diff) / self.divisor


def _shares(t, counted):
    """For each target of 1 the share of those of 0 among both in its sample, and the reverse."""
    axes = tuple(range(1, t.ndim))
    ones, zeros = (t == 1) * counted, (t == 0) * counted
    many, none = (np.count_nonzero(each, axes, keepdims=True) for each in (ones, zeros))
    both = np.maximum(many + none, 1)
    return (ones * (none / both) + zeros * (many / both)).astype(t.dtype, copy=False)
