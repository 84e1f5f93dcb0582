import math

import numpy as np

from ..base import register
from ._loss import Loss, check_same_shapes

NORMALIZED_BY = ("normalization", "normalize", "pre_fixed_normalizer")


@register("SmoothL1Loss")
class SmoothL1Loss(Loss):
    """L = (sum of outside * f(inside * (a - b))) / N, f squared near 0 and linear far from it.

    f(d) = (sigma d)^2 / 2 where |d| < 1 / sigma^2, |d| - 1 / (2 sigma^2) elsewhere. The N samples
    are on the first axis; where loss_param says what to divide by, as R-FCN's files do, it is that.
    Without loss_weight the loss counts once, as SSD's does; that of py-faster-rcnn does not count.

    Bottom
        0: a, predictions, any shape
        1: b, targets, the shape of a; axes of 1 at the end may be missing, as in Caffe
        2: inside weights, the shape of a; if missing, 1
        3: outside weights, the shape of a; if missing, 1
    Top
        0: L, one number
        1: the sums over axis 1 alone, (N, 1, ...), if asked for; no gradient
    Options (smooth_l1_loss_param)
        sigma: the square ends at |d| = 1 / sigma^2 [1]
    Options (loss_param)
        normalization: with up to 3 bottoms, what the sum is divided by (at least 1): FULL and
            VALID, all axes but 1; BATCH_SIZE, N; NONE, 1; PRE_FIXED, pre_fixed_normalizer
        normalize: the old form: true for VALID, false for BATCH_SIZE
        pre_fixed_normalizer: see normalization [1]
    Source
        Girshick 2015, arXiv:1504.08083
    """

    options_field: str | None = "smooth_l1_loss_param"
    more_options = ("loss_param",)
    compares = "values"
    bottoms = (2, 4)
    tops = (1, 2)
    no_gradient = (2, 3)
    default_normalization = "BATCH_SIZE"
    ignored = {"loss_param.ignore_label": "values have no labels"}

    def moot(self):
        found = super().moot()
        if len(self.param.bottom) > 3:
            words = "with outside weights, which say what to divide by"
            found |= {f"loss_param.{name}": words for name in NORMALIZED_BY}
        return found

    def setup(self, bottom_shapes):
        if not self.options.sigma > 0:
            raise self.error(f"sigma is {self.options.sigma:g}, expected a number above 0")
        self.sigma2 = self.options.sigma**2

    def infer_shapes(self, bottom_shapes):
        super().infer_shapes(bottom_shapes)
        first = bottom_shapes[0]
        same = [first if _bare(shape) == _bare(first) else shape for shape in bottom_shapes]
        check_same_shapes(self, same)
        n, *rest = bottom_shapes[0]
        if self.num_tops > 1 and not rest:
            raise self.shape_error(0, (n,), "axis 1, which the second top sums over")
        return [(), (n, 1, *rest[1:])][: self.num_tops]

    def forward(self, bottom, top):
        arrays = [blob.data.reshape(bottom[0].shape) for blob in bottom]
        self.divisor = self._divisor(arrays[0].shape)
        self.d = arrays[0] - arrays[1]
        if len(bottom) > 2:
            self.d *= arrays[2]
        size = abs(self.d)
        self.near = size < 1 / self.sigma2
        costs = np.where(self.near, 0.5 * self.sigma2 * size * size, size - 0.5 / self.sigma2)
        if len(bottom) > 3:
            costs *= arrays[3]
        top[0].data[...] = costs.sum() / self.divisor
        if len(top) > 1:
            top[1].data[...] = costs.sum(axis=1, keepdims=True)

    def _divisor(self, shape):
        if len(self.param.bottom) > 3:
            return max(1, shape[0])
        places = math.prod(shape[2:])
        return self.normalizer(shape[0], places, shape[0] * places)

    def backward(self, top, propagate_down, bottom):
        self.refuse_label_gradient(propagate_down)
        da = self.slopes(bottom) * (float(top[0].diff) / self.divisor)
        for blob, wanted, sign in zip(bottom[:2], propagate_down, (1, -1), strict=False):
            if wanted:
                np.multiply(da.reshape(blob.shape), sign, out=blob.diff)

    def slopes(self, bottom):
        """The derivative of the costs by a."""
        da = self.slopes_of_d()
        for weights in bottom[2:]:
            da *= weights.data.reshape(da.shape)
        return da

    def slopes_of_d(self):
        """The derivative of f."""
        return np.where(self.near, self.sigma2 * self.d, np.sign(self.d))


def _bare(shape):
    """The shape without axes of 1 at its end, which Caffe's blobs have where they are missing."""
    axes = len(shape)
    while axes and shape[axes - 1] == 1:
        axes -= 1
    return tuple(shape[:axes])
