"""What full-size detectors in two stages share: those of py-faster-rcnn, and of R-FCN."""

from caffelite.models.blocks import (
    MSRA,
    VGG_16,
    add,
    average_pool,
    bottleneck,
    conv,
    conv_without_bias,
    dense,
    gaussian,
    max_pool,
    normalize,
    relu,
    res,
    residual_stages,
    vgg_stage,
)
from caffelite.models.detection import VOC
from caffelite.models.two_stages import (
    Anchors,
    TwoStages,
    find,
    learn,
    mine,
    propose,
    take,
)
from caffelite.net_spec import layers as L

ANCHORS = Anchors()
SHAPE = (1, 3, 600, 1000)  # of the largest picture: sides are 600 and up to 1000 pixels
NORMALIZED = {"bbox_mean": [0, 0, 0, 0], "bbox_std": [0.1, 0.1, 0.2, 0.2]}


def region_proposals(n, features, width):
    """A 3 x 3 convolution, and what it proposes."""
    n["rpn/output"] = conv(features, width, 3, gaussian(0.01), pad=1, name="rpn_conv/3x3")
    n["rpn_relu/3x3"] = relu(n["rpn/output"])
    propose(n, n["rpn_relu/3x3"], ANCHORS)


def faster_rcnn(n, features, width, bins, pool):
    """Regions that a map proposes, and what fast_rcnn says of them."""
    region_proposals(n, features, width)
    fast_rcnn(n, features, bins, pool, bg_thresh_lo=0)


def fast_rcnn(n, features, bins, pool, **options):
    """Regions of a map, pooled to bins, and two dense layers of 4096 that say what is in them."""
    take(n, VOC, **options, **NORMALIZED)
    options = {"pooled_w": bins, "pooled_h": bins, "spatial_scale": 1 / ANCHORS.stride}
    top = n[pool] = L.ROIPooling(features, n.rois, roi_pooling_param=options)
    for number in (6, 7):
        n[f"fc{number}"] = dense(top, 4096, gaussian(0.005))
        n[f"relu{number}"] = relu(n[f"fc{number}"])
        top = n[f"drop{number}"] = L.Dropout(n[f"relu{number}"], in_place=True, dropout_ratio=0.5)
    n.cls_score = dense(top, VOC + 1, gaussian(0.01))
    n.bbox_pred = dense(top, 4 * (VOC + 1), gaussian(0.001))
    if "gt_boxes" in n.tops:
        learn(n)
    else:
        find(n, VOC, confidence_threshold=0.05)


PLACES = 7  # of a region of R-FCN, along each side
MINED = 128


def rfcn(n, depths, bias=False, mined=False):
    """A ResNet whose last stage is dilated, and maps of 7 x 7 places of regions.

    Regions are proposed of the last map but one. `mined`: the regions that cost most are learned
    from, out of all; else some, drawn.
    """
    convolution = conv if bias else conv_without_bias
    n.conv1 = convolution(n.data, 64, 7, MSRA, stride=2, pad=3)
    top = normalize(n, ("bn_conv1", "scale_conv1", "conv1_relu"), n.conv1)
    n.pool1 = max_pool(top, 3, 2)
    features = residual_stages(n, n.pool1, bottleneck, depths, numbered=True)
    region_proposals(n, features, 512)
    take(
        n,
        1,
        bg_thresh_lo=0,
        class_agnostic=True,
        **NORMALIZED,
        **({"batch_size": -1} if mined else {}),
    )
    top = features
    for name in ("5a", "5b", "5c"):
        top = dilated(n, name, top)
    n.conv_new_1 = conv(top, 1024, 1, gaussian(0.01))
    n.conv_new_1_relu = relu(n.conv_new_1)
    for name, score, width in (("cls", "cls_score", VOC + 1), ("bbox", "bbox_pred", 8)):
        n[f"rfcn_{name}"] = conv(n.conv_new_1_relu, width * PLACES**2, 1, gaussian(0.01))
        pooled = n[f"psroipooled_{name}_rois"] = L.PSROIPooling(
            n[f"rfcn_{name}"],
            n.rois,
            psroi_pooling_param={
                "spatial_scale": 1 / ANCHORS.stride,
                "output_dim": width,
                "group_size": PLACES,
            },
        )
        n[score] = average_pool(pooled, PLACES, PLACES)
    if "gt_boxes" not in n.tops:
        find(n, VOC, confidence_threshold=0.05, class_agnostic=True)
    elif mined:
        mine(n, MINED)
    else:
        learn(n)


def vgg_16(n):
    """The convolutions of VGG-16, those of the first two stages as they came."""
    fixed = {"param": [{"lr_mult": 0, "decay_mult": 0}] * 2}
    top = n.data
    for stage, widths in enumerate(VGG_16, 1):
        top = vgg_stage(n, stage, top, widths, **(fixed if stage < 3 else {}))
        if stage < 5:
            top = n[f"pool{stage}"] = max_pool(top, 2, 2)
    return top


def dilated(n, name, bottom):
    """bottleneck of the fifth stage, on the fourth one's map: windows reach as far, thinned out."""
    shortcut = res(n, name, "branch1", bottom, 2048, 1) if name.endswith("a") else bottom
    top = res(n, name, "branch2a", bottom, 512, 1, activate=True)
    top = res(n, name, "branch2b", top, 512, 3, activate=True, pad=2, dilation=2)
    return add(n, name, shortcut, res(n, name, "branch2c", top, 2048, 1))


class RFCN(TwoStages):
    """Normalization, and all up to the second stage, stay as they came."""

    def _written(self, n):
        layers = super()._written(n)
        for layer in layers:
            options = layer.convolution_param
            if layer.type in ("BatchNorm", "Scale"):
                blobs = 3 if layer.type == "BatchNorm" else 2
            elif layer.name == "conv1" or layer.name.startswith("res2"):
                blobs = 1 + options.bias_term if layer.type == "Convolution" else 0
            else:
                continue
            del layer.param[:]
            for _ in range(blobs):
                layer.param.add(lr_mult=0, decay_mult=0)
        return layers
