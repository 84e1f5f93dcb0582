"""Faster R-CNN for digits in scenes: regions of 12 anchors a place, each pooled to 6 x 6 bins."""

from caffelite.models.blocks import MSRA, conv, dense, gaussian, relu
from caffelite.models.scenes import CLASSES, SHAPE, one_map
from caffelite.models.two_stages import (
    DIGIT_ANCHORS,
    ScenesOfTwoStages,
    TwoStages,
    find,
    learn,
    propose,
    take,
)
from caffelite.net_spec import layers as L

BINS = 6


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
    take(n, CLASSES, batch_size=64, bg_thresh_lo=0, bbox_inside_weight=[10, 10, 5, 5])
    n.pool = L.ROIAlign(
        features,
        n.rois,
        roi_align_param={
            "pooled_h": BINS,
            "pooled_w": BINS,
            "spatial_scale": 1 / DIGIT_ANCHORS.stride,
            "sampling_ratio": 2,
        },
    )
    n.ip1 = dense(n.pool, 192, MSRA)
    n.ip1_relu = relu(n.ip1)
    n.cls_score = dense(n.ip1_relu, CLASSES + 1, gaussian(0.01))
    n.bbox_pred = dense(n.ip1_relu, 4 * (CLASSES + 1), gaussian(0.001))
    if "gt_boxes" in n.tops:
        learn(n)
    else:
        find(n, CLASSES)


program = TwoStages("Faster-R-CNN-digits", net, ScenesOfTwoStages(), SHAPE)
