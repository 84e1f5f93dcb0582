import math

import numpy as np

from ..base import register
from ._loss import Loss, read_labels


@register("CenterLoss")
class CenterLoss(Loss):
    """L = (sum over N samples of |x - c[label]|^2) / (2 N), with a learned center c per class.

    The diff of a center is not its gradient but (sum of c - x over its n samples) / (1 + n), and
    the loss weight has no part in it: lr_mult says how fast centers follow.

    Bottom
        0: x, features, (N, ...)
        1: labels, whole numbers from 0 to num_output - 1, one per sample; no gradient
    Top
        0: L, one number
    Blobs
        center: c, (num_output, values per sample)
    Options (center_loss_param)
        num_output: how many classes
        center_filler: initial centers [constant 0]
        axis: features lie along this one and all behind it; negative: from the end [1]
    Source
        Wen, Zhang, Li, Qiao 2016, A discriminative feature learning approach for deep face
        recognition
    """

    options_field = "center_loss_param"
    labels = (1,)
    learns = True

    def setup(self, bottom_shapes):
        options, shape = self.options, bottom_shapes[0]
        if options.num_output < 1:
            raise self.error("num_output is missing or 0, expected the number of classes")
        axis = self.canonical_axis(options.axis, len(shape))
        shape = options.num_output, math.prod(shape[axis:])
        self.center = self.add_blob("center", shape, options.center_filler)

    def infer_shapes(self, bottom_shapes):
        tops = super().infer_shapes(bottom_shapes)
        shape = bottom_shapes[0]
        axis = self.canonical_axis(self.options.axis, len(shape))
        samples, values = math.prod(shape[:axis]), math.prod(shape[axis:])
        if values != self.center.shape[1]:
            expected = f"{self.center.shape[1]} values from axis {axis} on, not {values}"
            raise self.shape_error(0, shape, expected)
        if math.prod(bottom_shapes[1]) != samples:
            raise self.shape_error(1, bottom_shapes[1], f"{samples} labels, one per sample")
        return tops

    def forward(self, bottom, top):
        classes, values = self.center.shape
        self.label = read_labels(self, bottom[1], classes).reshape(-1)
        x = bottom[0].data.reshape(len(self.label), values)
        self.d = x - self.center.data[self.label]
        top[0].data[...] = np.vdot(self.d, self.d) / (2 * max(1, len(x)))

    def backward(self, top, propagate_down, bottom):
        self.refuse_label_gradient(propagate_down)
        if self.param_propagate_down[0]:
            count = self.gathered(np.bincount(self.label, minlength=len(self.center.data))).sum(
                axis=0
            )
            share = (self.shard.parts / (1 + count)).astype(self.dtype)[self.label, None]
            np.subtract.at(self.center.diff, self.label, self.d * share)
        if propagate_down[0]:
            dx = self.d * (float(top[0].diff) / max(1, len(self.d)))
            bottom[0].diff[...] = dx.reshape(bottom[0].shape)
