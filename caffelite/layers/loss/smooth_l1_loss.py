import numpy as np

from ..base import register
from ._loss import Loss, check_same_shapes


@register("SmoothL1Loss")
class SmoothL1Loss(Loss):
    """L = (sum of outside * f(inside * (a - b))) / N, f squared near 0 and linear far from it.

    f(d) = (sigma d)^2 / 2 where |d| < 1 / sigma^2, |d| - 1 / (2 sigma^2) elsewhere. The N samples
    are on the first axis.

    Bottom
        0: a, predictions, any shape
        1: b, targets, the shape of a
        2: inside weights, the shape of a; if missing, 1
        3: outside weights, the shape of a; if missing, 1
    Top
        0: L, one number
    Options (smooth_l1_loss_param)
        sigma: the square ends at |d| = 1 / sigma^2 [1]
    Source
        Girshick 2015, arXiv:1504.08083
    """

    options_field = "smooth_l1_loss_param"
    compares = "values"
    bottoms = (2, 4)
    no_gradient = (2, 3)

    def setup(self, bottom_shapes):
        if not self.options.sigma > 0:
            raise self.error(f"sigma is {self.options.sigma:g}, expected a number above 0")
        self.sigma2 = self.options.sigma**2

    def infer_shapes(self, bottom_shapes):
        tops = super().infer_shapes(bottom_shapes)
        check_same_shapes(self, bottom_shapes)
        return tops

    def forward(self, bottom, top):
        arrays = [blob.data for blob in bottom]
        self.samples = max(1, len(arrays[0]))
        self.d = arrays[0] - arrays[1]
        if len(bottom) > 2:
            self.d *= arrays[2]
        size = abs(self.d)
        self.near = size < 1 / self.sigma2
        costs = np.where(self.near, 0.5 * self.sigma2 * size * size, size - 0.5 / self.sigma2)
        if len(bottom) > 3:
            costs *= arrays[3]
        top[0].data[...] = costs.sum() / self.samples

    def backward(self, top, propagate_down, bottom):
        self.refuse_label_gradient(propagate_down)
        da = np.where(self.near, self.sigma2 * self.d, np.sign(self.d))
        for weights in bottom[2:]:
            da *= weights.data
        da *= float(top[0].diff) / self.samples
        for blob, wanted, sign in zip(bottom[:2], propagate_down, (1, -1), strict=False):
            if wanted:
                np.multiply(da, sign, out=blob.diff)
