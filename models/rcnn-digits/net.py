"""R-CNN for digits in scenes: regions warped to windows of 32 x 32 pixels, with 4 pixels around.

Features of a window are those of a net that learns to tell digits and background apart; then a
support vector machine for each digit reads them, and a regression moves boxes: `caffelite svm`.

lint: ignore unused-top (im_info is read by the net that finds boxes)
"""

from caffelite.models.blocks import MSRA, dense, relu
from caffelite.models.scenes import CLASSES, SHAPE, fourth_and_eighth
from caffelite.models.two_stages import ScenesWithRegions, TwoStages, aligned, machines, take

WINDOW, CONTEXT = 32, 4  # pixels


def net(n):
    take(n, CLASSES, batch_size=64, bg_thresh_lo=0)
    pad = CONTEXT / (WINDOW - 2 * CONTEXT)
    n.windows = aligned(n, n.data, WINDOW, 1, pad_ratio=pad)
    _, features = fourth_and_eighth(n, n.windows)
    n.ip1 = dense(features, 192, MSRA)
    n.ip1_relu = relu(n.ip1)
    machines(n, n.ip1_relu, features)


program = TwoStages("R-CNN-digits", net, ScenesWithRegions(), SHAPE, given=100)
