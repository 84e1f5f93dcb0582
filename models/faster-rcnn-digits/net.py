"""Faster R-CNN for digits in scenes: regions of 12 anchors a place, each pooled to 6 x 6 bins."""

from caffelite.models.blocks import MSRA, conv, relu
from caffelite.models.scenes import SHAPE, one_map
from caffelite.models.two_stages import (
    DIGIT_ANCHORS,
    ScenesOfTwoStages,
    TwoStages,
    digit_of_region,
    propose,
)


def net(n):
    features = one_map(n)
    n.rpn_conv = conv(features, 96, 3, MSRA, pad=1)
    n.rpn_relu = relu(n.rpn_conv)
    propose(
        n,
        n.rpn_relu,
        DIGIT_ANCHORS,
        proposal={"min_size": 4, "pre_nms_topn": 600, "post_nms_topn": 100},
        target={"allowed_border": 16, "batch_size": 128},
    )
    digit_of_region(n, features)


program = TwoStages("Faster-R-CNN-digits", net, ScenesOfTwoStages(), SHAPE)
