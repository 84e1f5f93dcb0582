import numpy as np

from ...data import binaryproto
from ...errors import DataError
from ..base import register
from ..utility.softmax import softmax
from ._loss import Loss, check_label_count, folded, read_labels

SMALLEST = 1e-20
"""Probabilities count as at least this in a logarithm."""


@register("InfogainLoss")
class InfogainLoss(Loss):
    """L = -(sum over samples and classes k of H[label, k] log p[k]) / normalizer, p = softmax(x).

    With H the identity this is SoftmaxWithLoss; other values say how much a class found instead
    of the label is worth.

    Bottom
        0: x, scores; at `axis` one per class
        1: labels, whole numbers from 0 to classes - 1, one per score vector
        2: H, classes x classes values; if missing, read from source
    Top
        0: L, one number
        1: p, the shape of x, if asked for
    Options (infogain_loss_param)
        source: file of H, a .binaryproto
        axis: of the classes [1]
    Options (loss_param)
        ignore_label: samples with this label do not count
        normalization: the normalizer (at least 1): FULL, all labels; VALID, those not ignored;
            BATCH_SIZE, the axes before `axis`; NONE, 1; PRE_FIXED, pre_fixed_normalizer [VALID]
        pre_fixed_normalizer: see normalization [1]
    """

    options_field = "infogain_loss_param"
    applies = "Softmax"
    labels = (1,)
    compares = "classes"
    files = ("source",)
    more_options = ("loss_param",)
    refused = {"loss_param.normalize": "is the old form; write normalization: VALID or BATCH_SIZE"}
    bottoms = (2, 3)
    tops = (1, 2)
    no_gradient = (1, 2)

    def moot(self):
        if len(self.param.bottom) < 3:
            return super().moot()
        return super().moot() | {"infogain_loss_param.source": "H is bottom[2]"}

    def setup(self, bottom_shapes):
        self.file_matrix = None
        if len(bottom_shapes) < 3:
            if not self.options.source:
                raise self.error("H is missing; give it as bottom[2], or a file of it as source")
            self.file_matrix = self._read(self.options.source)

    def _read(self, source):
        try:
            return binaryproto.read(source).astype(self.dtype)
        except DataError as problem:
            raise self.error(f"source: {problem}", DataError) from None

    def infer_shapes(self, bottom_shapes):
        super().infer_shapes(bottom_shapes)
        check_label_count(self, bottom_shapes, self.options.axis)
        _, classes, _ = folded(self, bottom_shapes[0], self.options.axis)
        expected = f"{classes} x {classes} values, as the scores have {classes} classes"
        if self.file_matrix is None:
            if np.prod(bottom_shapes[2]) != classes**2:
                raise self.shape_error(2, bottom_shapes[2], expected)
        elif self.file_matrix.size != classes**2:
            raise self.error(
                f"H in {self.options.source} has the shape {self.file_matrix.shape}, "
                f"expected {expected}"
            )
        return [(), bottom_shapes[0]][: self.num_tops]

    def forward(self, bottom, top):
        x = bottom[0].data
        outer, classes, inner = folded(self, x.shape, self.options.axis)
        labels = read_labels(self, bottom[1], classes, self.ignore_label).reshape(outer, inner)
        ignored = labels == self.ignore_label
        matrix = bottom[2].data if self.file_matrix is None else self.file_matrix
        gains = matrix.reshape(classes, classes)[np.where(ignored, 0, labels)]
        gains[ignored] = 0
        self.gains = gains.transpose(0, 2, 1)  # H[label], laid out as the scores are
        p = np.empty_like(x)
        softmax(x, self.options.axis, out=p)
        self.p = p.reshape(outer, classes, inner)
        self.divisor = self.normalizer(outer, inner, labels.size - np.count_nonzero(ignored))
        losses = -np.log(np.maximum(self.p, SMALLEST))
        losses *= self.gains
        top[0].data[...] = losses.sum() / self.divisor
        if len(top) > 1:
            top[1].data[...] = p

    def backward(self, top, propagate_down, bottom):
        self.refuse_label_gradient(propagate_down)
        if propagate_down[0]:
            dx = bottom[0].diff.reshape(self.p.shape)
            np.multiply(self.p, self.gains.sum(axis=1, keepdims=True), out=dx)
            dx -= self.gains
            dx *= float(top[0].diff) / self.divisor
