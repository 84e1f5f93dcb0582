"""R-FCN for digits in scenes: maps of 3 x 3 places in a region, and nothing learned behind them."""

from caffelite.models.blocks import MSRA, average_pool, conv, gaussian, relu
from caffelite.models.scenes import CLASSES, SHAPE, one_map
from caffelite.models.two_stages import (
    DIGIT_ANCHORS,
    ScenesOfTwoStages,
    TwoStages,
    find,
    mine,
    propose,
    take,
)
from caffelite.net_spec import layers as L

PLACES = 3  # of a region, along each side
MINED = 64


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
    take(
        n, 1, batch_size=-1, bg_thresh_lo=0, class_agnostic=True, bbox_inside_weight=[10, 10, 5, 5]
    )
    n.conv_new = conv(features, 192, 1, MSRA)
    n.conv_new_relu = relu(n.conv_new)
    for name, width in (("cls", CLASSES + 1), ("bbox", 4 * 2)):
        n[f"rfcn_{name}"] = conv(n.conv_new_relu, width * PLACES**2, 1, gaussian(0.01))
        n[f"psroipooled_{name}"] = L.PSROIPooling(
            n[f"rfcn_{name}"],
            n.rois,
            psroi_pooling_param={
                "spatial_scale": 1 / DIGIT_ANCHORS.stride,
                "output_dim": width,
                "group_size": PLACES,
            },
        )
    n.cls_score = average_pool(n.psroipooled_cls, PLACES, PLACES)
    n.bbox_pred = average_pool(n.psroipooled_bbox, PLACES, PLACES)
    if "gt_boxes" in n.tops:
        mine(n, MINED)
    else:
        find(n, CLASSES, class_agnostic=True)


program = TwoStages("R-FCN-digits", net, ScenesOfTwoStages(), SHAPE)
