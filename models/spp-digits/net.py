"""SPP-net for digits in scenes: of one map, a pyramid of 6 x 6, 3 x 3, 2 x 2 and 1 bins a region.

The map stays as it came. A dense layer learns to tell digits and background apart; then a support
vector machine for each digit reads its features, and a regression moves boxes: `caffelite svm`.

lint: ignore unused-top (im_info is read by the net that finds boxes)
"""

from caffelite.models.blocks import MSRA, dense, relu
from caffelite.models.scenes import CLASSES, SHAPE, one_map
from caffelite.models.two_stages import (
    DIGIT_ANCHORS,
    ScenesWithRegions,
    TwoStages,
    machines,
    pyramid,
    take,
)


def net(n):
    take(n, CLASSES, batch_size=64, bg_thresh_lo=0)
    n.ip1 = dense(pyramid(n, one_map(n), (6, 3, 2, 1), 1 / DIGIT_ANCHORS.stride), 192, MSRA)
    n.ip1_relu = relu(n.ip1)
    machines(n, n.ip1_relu, n.ip1_relu)


program = TwoStages("SPP-net-digits", net, ScenesWithRegions(), SHAPE, given=100)
