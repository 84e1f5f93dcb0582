import numpy as np

from ..base import Count, register
from ..utility.softmax import softmax
from ._loss import Loss, check_label_count, folded, read_labels

SMALLEST = np.finfo(np.float32).tiny
"""Probabilities count as at least this in a logarithm."""


@register("SoftmaxWithLoss")
class SoftmaxWithLoss(Loss):
    """L = -(sum over samples of log p[label]) / normalizer, with p = softmax(x).

    With weights w of single samples, such as those of pixels near a border, it is the sum of
    w log p[label], and VALID divides by the sum of w. Where w is 0, any label will do.

    Bottom
        0: x, scores; at axis 1 (or `axis`) one per class
        1: labels, whole numbers from 0 to classes - 1, one per score vector
        2: w, as many numbers as labels (optional); no gradient
    Top
        0: L, one number
        1: p, the shape of x, if asked for
    Options (softmax_param)
        axis: of the classes [1]
        engine: changes nothing; CUDNN is refused [DEFAULT]
    Options (loss_param)
        ignore_label: samples with this label do not count
        normalization: the normalizer (at least 1): FULL, all labels; VALID, those not ignored;
            BATCH_SIZE, the axes before `axis`; NONE, 1; PRE_FIXED, pre_fixed_normalizer [VALID]
        normalize: the old form: true for VALID, false for BATCH_SIZE
        pre_fixed_normalizer: see normalization [1]
        weight_by_label_freqs: multiply the loss of each sample by its label's class_weighting,
            which does not change the normalizer [false]
        class_weighting: a factor per class
    """

    options_field = "softmax_param"
    applies = "Softmax"
    labels = (1,)
    compares = "classes"
    more_options: tuple[str, ...] = ("loss_param",)
    bottoms: Count = (2, 3)
    no_gradient: tuple[int, ...] = (1, 2)
    tops = (1, 2)
    refused = {"loss_param.weight_by_label_freqs": None}
    ignored = {"loss_param.class_weighting": None}

    def moot(self):
        found = super().moot()
        if not self.param.loss_param.weight_by_label_freqs:
            found["loss_param.class_weighting"] = "it acts with weight_by_label_freqs: true"
        return found

    def infer_shapes(self, bottom_shapes):
        super().infer_shapes(bottom_shapes)
        for index in range(1, len(bottom_shapes)):
            check_label_count(self, bottom_shapes, self.options.axis, index)
        self._class_weights(folded(self, bottom_shapes[0], self.options.axis)[1])
        return [(), bottom_shapes[0]][: self.num_tops]

    def _class_weights(self, classes):
        param = self.param.loss_param
        if not param.weight_by_label_freqs:
            return np.ones(classes, self.dtype)
        if len(param.class_weighting) != classes:
            raise self.error(
                f"class_weighting has {len(param.class_weighting)} entries, expected {classes}, "
                f'one per class of bottom[0] "{self.param.bottom[0]}"'
            )
        return np.array(param.class_weighting, self.dtype)

    def forward(self, bottom, top):
        x = bottom[0].data
        outer, classes, inner = folded(self, x.shape, self.options.axis)
        weight = self._sample_weights(bottom)
        labels = read_labels(self, bottom[1], classes, self.ignore_label, counts=weight)
        counts = (labels != self.ignore_label) & (weight != 0)
        p = np.empty_like(x)
        softmax(x, self.options.axis, out=p)
        self.p = p.reshape(outer, classes, inner)
        self.label = np.where(counts, labels, 0).reshape(outer, 1, inner)
        weight = np.where(counts, weight, 0).reshape(self.label.shape)
        self.weight = self._class_weights(classes)[self.label] * weight
        likelihood = np.take_along_axis(self.p, self.label, axis=1)
        losses = self.cost(likelihood) * self.weight
        self.divisor = self.normalizer(outer, inner, float(weight.sum(dtype=np.float64)))
        top[0].data[...] = losses.sum() / self.divisor
        if len(top) > 1:
            top[1].data[...] = p

    def _sample_weights(self, bottom):
        """Bottom 2, in the shape of the labels; 1 if there is none."""
        shape = bottom[1].shape
        if len(bottom) < 3:
            return np.ones(shape, self.dtype)
        weights = bottom[2].data.reshape(shape)
        if not np.isfinite(weights).all():
            at = tuple(np.argwhere(~np.isfinite(bottom[2].data))[0].tolist())
            name = self.param.bottom[2]
            raise self.error(
                f'bottom[2] "{name}" holds the weight {bottom[2].data[at]:g} at {list(at)}: '
                "expected a number",
                blob=name,
            )
        return weights

    def backward(self, top, propagate_down, bottom):
        self.refuse_label_gradient(propagate_down)
        if propagate_down[0]:
            dx = bottom[0].diff.reshape(self.p.shape)
            dx[...] = self.p
            likelihood = np.take_along_axis(self.p, self.label, axis=1)
            np.put_along_axis(dx, self.label, likelihood - 1, axis=1)
            dx *= self.slope(likelihood) * self.weight * (float(top[0].diff) / self.divisor)

    def cost(self, p):
        """The loss of samples whose labels have these probabilities."""
        return -np.log(np.maximum(p, SMALLEST))

    def slope(self, p):
        """-p times the derivative of `cost`."""
        return 1
