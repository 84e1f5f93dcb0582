"""PSPNet-50: a dilated ResNet-50, and means of 1, 2, 3 and 6 squared parts beside it.

Zhao, Shi, Qi, Wang, Jia 2017.
"""

from caffelite.models.blocks import (
    MSRA,
    average_pool,
    concat,
    conv,
    conv_without_bias,
    max_pool,
    relu,
)
from caffelite.models.program import VGG_MEAN, Program
from caffelite.models.segmentation import Pairs, classify_pixels
from caffelite.net_spec import layers as L

CLASSES = 150
SIDE = 60  # of the last maps, of pictures of 473 pixels
DEPTHS, DILATIONS = (3, 4, 6, 3), (1, 1, 2, 4)
NEW = {"lr_mult": 10}  # layers that ResNet-50 has not


def net(n):
    top = unit(n, "conv1_1_3x3_s2", n.data, 64, 3, stride=2, pad=1)
    top = unit(n, "conv1_2_3x3", top, 64, 3, pad=1)
    top = unit(n, "conv1_3_3x3", top, 128, 3, pad=1)
    top = n.pool1_3x3_s2 = max_pool(top, 3, 2, pad=1)
    for stage, (depth, dilation) in enumerate(zip(DEPTHS, DILATIONS, strict=True), 2):
        for i in range(1, depth + 1):
            stride = 2 if (stage, i) == (3, 1) else 1
            top = bottleneck(n, f"conv{stage}_{i}", top, 2 ** (stage + 4), stride, dilation)
    parts = [part(n, f"conv5_3_pool{k}", top, SIDE // k) for k in (6, 3, 2, 1)]
    top = concat(n, "conv5_3_concat", top, *parts)
    top = unit(n, "conv5_4", top, 512, 3, pad=1, param=NEW)
    n["conv5_4/dropout"] = L.Dropout(top, in_place=True, dropout_ratio=0.1)
    rates = [{"lr_mult": 10}, {"lr_mult": 20}]
    n.conv6 = conv(n["conv5_4/dropout"], CLASSES, 1, MSRA, param=rates)
    n.conv6_interp = L.Interp(n.conv6, zoom_factor=8)
    classify_pixels(n, n.conv6_interp)


def bottleneck(n, name, bottom, width, stride, dilation):
    """y = relu(x + f(x)); the first of a stage projects x, and strides in both its 1x1 layers."""
    shortcut, spread = bottom, {"dilation": dilation} if dilation > 1 else {}
    top = unit(n, f"{name}_1x1_reduce", bottom, width, 1, stride=stride)
    top = unit(n, f"{name}_3x3", top, width, 3, pad=dilation, **spread)
    top = unit(n, f"{name}_1x1_increase", top, 4 * width, 1, activate=False)
    if name.endswith("_1"):
        shortcut = unit(n, f"{name}_1x1_proj", bottom, 4 * width, 1, activate=False, stride=stride)
    n[name] = L.Eltwise(shortcut, top)
    n[f"{name}/relu"] = relu(n[name])
    return n[f"{name}/relu"]


def part(n, name, bottom, size):
    """Means of squares of `size`, 512 maps of them, enlarged again."""
    n[name] = average_pool(bottom, size, size)
    top = unit(n, f"{name}_conv", n[name], 512, 1, param=NEW)
    n[f"{name}_interp"] = L.Interp(top, height=SIDE, width=SIDE)
    return n[f"{name}_interp"]


def unit(n, name, bottom, width, size, activate=True, param=None, **options):
    """A convolution, its BN, which keeps averages, and a ReLU."""
    rates = {"param": param} if param else {}
    n[name] = conv_without_bias(bottom, width, size, MSRA, **rates, **options)
    rate = (param or {}).get("lr_mult", 1)
    learned = [{"lr_mult": rate, "decay_mult": 0}] * 2 + [{"lr_mult": 0, "decay_mult": 0}] * 2
    top = n[f"{name}/bn"] = L.BN(
        n[name],
        in_place=True,
        param=learned,
        bn_param={
            "slope_filler": {"type": "constant", "value": 1},
            "bias_filler": {"type": "constant"},
            "momentum": 0.95,
        },
    )
    if activate:
        top = n[f"{name}/relu"] = relu(top)
    return top


program = Program(
    "PSPNet-50",
    net,
    Pairs(
        "data/ADE20K",
        "train.txt",
        "val.txt",
        (2, 1),
        {"mean_value": VGG_MEAN},
        {"new_height": 473, "new_width": 473},
    ),
    (1, 3, 473, 473),
)
