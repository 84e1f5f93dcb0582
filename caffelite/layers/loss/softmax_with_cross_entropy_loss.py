import numpy as np

from ..base import register
from ..utility.softmax import softmax
from ._loss import Loss, check_same_shapes, folded

SMALLEST = np.finfo(np.float32).tiny
"""Probabilities count as at least this in a logarithm."""


@register("SoftmaxWithCrossEntropyLoss")
class SoftmaxWithCrossEntropyLoss(Loss):
    """L = (sum over samples and classes of q (log q - log p)) / samples, p = softmax(x).

    How far x is from the scores t of a teacher (knowledge distillation), q = softmax(t), or from
    a distribution over the labels, q = t. With target_is_weight, q need not add up to 1: the loss
    is the cross entropy -q log p, but for a number that x does not change.

    Bottom
        0: x, scores; at axis 1 (or `axis`) one per class
        1: t, the shape of x; gets no gradient
    Top
        0: L, one number
    Options (softmax_param)
        axis: of the classes [1]
        engine: changes nothing; CUDNN is refused [DEFAULT]
    Options (loss_param)
        normalize: samples are all positions; false: those before `axis` alone [true]
        target_is_prob: t holds probabilities, which add up to 1 along `axis` [false]
        target_is_weight: t holds weights, at least 0, which may add up to anything [false]
    """

    options_field = "softmax_param"
    applies = "Softmax"
    more_options = ("loss_param",)
    refused = {"loss_param.target_is_prob": None, "loss_param.target_is_weight": None}
    ignored = {
        "loss_param.ignore_label": "there are no labels, but scores or probabilities",
        "loss_param.normalization": "write normalize: what the sum is divided by follows from it",
        "loss_param.pre_fixed_normalizer": "write normalize: it says what the sum is divided by",
    }

    def moot(self):
        found = super().moot()
        if self.param.loss_param.target_is_weight:
            found["loss_param.target_is_prob"] = "target_is_weight asks for less"
        return found

    def infer_shapes(self, bottom_shapes):
        tops = super().infer_shapes(bottom_shapes)
        folded(self, bottom_shapes[0], self.options.axis)
        check_same_shapes(self, bottom_shapes)
        return tops

    def forward(self, bottom, top):
        axis, param = self.options.axis, self.param.loss_param
        self.p, self.q = (np.empty_like(blob.data) for blob in bottom)
        softmax(bottom[0].data, axis, out=self.p)
        self.mass = 1
        if param.target_is_prob or param.target_is_weight:
            self.q[...] = bottom[1].data
            sums = self.q.sum(axis, keepdims=True)
            if param.target_is_weight:
                self._check(np.isfinite(sums), "weights: at least 0")
                self.mass = sums
            else:
                self._check(abs(sums - 1) < 1e-3, "probabilities: at least 0, and 1 in sum")
        else:
            softmax(bottom[1].data, axis, out=self.q)
        outer, _, inner = folded(self, self.p.shape, axis)
        by_position = param.normalize or not param.HasField("normalize")
        self.samples = max(1, outer * inner if by_position else outer)
        log_p, log_q = (np.log(np.maximum(a, SMALLEST)) for a in (self.p, self.q))
        top[0].data[...] = (self.q * (log_q - log_p)).sum() / self.samples

    def _check(self, right, expected):
        """Raise unless the sums of q along the axis are right, and all of q is at least 0."""
        axis = self.options.axis
        wrong = ~(right & (self.q.min(axis, initial=0, keepdims=True) >= 0)).squeeze(axis)
        if wrong.any():
            at = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise self.error(
                f'bottom[1] "{self.param.bottom[1]}" adds up to {self.q.sum(axis)[at]:g} along '
                f"axis {axis} at {list(at)}, expected {expected}"
            )

    def backward(self, top, propagate_down, bottom):
        self.refuse_label_gradient(propagate_down)
        if propagate_down[0]:
            dx = bottom[0].diff
            np.multiply(self.p, self.mass, out=dx)
            dx -= self.q
            dx *= float(top[0].diff) / self.samples
