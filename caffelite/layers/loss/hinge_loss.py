import numpy as np

from ..base import register
from ._loss import Loss, check_label_per_sample, read_labels


@register("HingeLoss")
class HingeLoss(Loss):
    """L = (sum of max(0, 1 + s x)) / N, with s = -1 at the label and 1 elsewhere.

    Bottom
        0: x, scores; for each of N samples one per class
        1: labels, whole numbers from 0 to classes - 1, one per sample
    Top
        0: L, one number
    Options (hinge_loss_param)
        norm: L1, as above, or L2: the sum is over squares [L1]
    """

    options_field = "hinge_loss_param"
    labels = (1,)
    compares = "classes"

    def infer_shapes(self, bottom_shapes):
        tops = super().infer_shapes(bottom_shapes)
        check_label_per_sample(self, bottom_shapes)
        return tops

    def forward(self, bottom, top):
        self.samples = max(1, bottom[0].shape[0])
        x = bottom[0].data.reshape(self.samples, -1)
        labels = read_labels(self, bottom[1], x.shape[1]).reshape(-1)
        self.at_label = np.arange(labels.size), labels
        self.margins = x.copy()
        self.margins[self.at_label] *= -1
        self.margins += 1
        np.maximum(self.margins, 0, out=self.margins)
        power = 2 if self.options.norm == self.options.L2 else 1
        top[0].data[...] = (self.margins**power).sum() / self.samples

    def backward(self, top, propagate_down, bottom):
        self.refuse_label_gradient(propagate_down)
        if propagate_down[0]:
            dx = bottom[0].diff.reshape(self.margins.shape)
            if self.options.norm == self.options.L2:
                np.multiply(self.margins, 2, out=dx)
            else:
                dx[...] = self.margins > 0
            dx[self.at_label] *= -1
            dx *= float(top[0].diff) / self.samples
