from ..base import register
from .smooth_l1_loss import SmoothL1Loss


@register("SmoothL1LossOHEM")
class SmoothL1LossOHEM(SmoothL1Loss):
    """L = (sum of f(w * (a - b))) / normalizer, with f squared near 0 and linear far from it.

    f(d) = d^2 / 2 where |d| < 1, |d| - 1/2 elsewhere. As in R-FCN's Caffe the gradient is f'(w * (a
    - b)), not multiplied by w: the same where weights are 0 or 1, as those of boxes are.

    Bottom
        0: a, predictions, any shape; axis 1 has the numbers of a box
        1: b, targets, the shape of a
        2: w, weights, the shape of a; if missing, 1
    Top
        0: L, one number
        1: the loss of each box, the sums over axis 1 alone, (N, 1, ...), if asked for; no gradient
    Options (loss_param)
        normalization: what the sum is divided by (at least 1): FULL and VALID, all axes but 1;
            BATCH_SIZE, N; NONE, 1; PRE_FIXED, pre_fixed_normalizer [VALID]
        normalize: the old form: true for VALID, false for BATCH_SIZE
        pre_fixed_normalizer: see normalization [1]
    Source
        Dai, Li, He, Sun 2016, arXiv:1605.06409 (R-FCN); Shrivastava, Gupta, Girshick 2016,
        arXiv:1604.03540 (OHEM)
    """

    options_field = None
    bottoms = (2, 3)
    default_normalization = "VALID"
    sigma2 = 1

    def setup(self, bottom_shapes):
        """Nothing to check: f has no options."""

    def slopes(self, bottom):
        return self.slopes_of_d()
