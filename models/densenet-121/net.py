"""DenseNet-121: a layer sees all layers below it in its block.  Huang, Liu, Weinberger 2016."""

from caffelite.models.blocks import (
    MSRA,
    average_all,
    average_pool,
    classify,
    concat,
    conv,
    conv_bn,
    conv_without_bias,
    max_pool,
    normalize,
)
from caffelite.models.program import NEAR_VGG_MEAN, Program, imagenet
from caffelite.net_spec import params as P

GROWTH = 32


def net(n):
    names = ("conv1", "conv1/bn", "conv1/scale", "relu1")
    top = conv_bn(n, names, n.data, 2 * GROWTH, 7, MSRA, stride=2, pad=3)
    top = n.pool1 = max_pool(top, 3, 2, pad=1, round_mode=P.Pooling.FLOOR)
    width = 2 * GROWTH
    for block, depth in enumerate((6, 12, 24, 16), 2):
        for i in range(1, depth + 1):
            top = grown(n, f"{block}_{i}", top)
        width += depth * GROWTH
        top = activated(n, f"{block}_blk", top, in_place=False)
        if block < 5:
            width //= 2
            name = f"conv{block}_blk"
            n[name] = conv_without_bias(top, width, 1, MSRA)
            top = n[f"pool{block}"] = average_pool(n[name], 2, 2)
    n.pool5 = average_all(top)
    n.fc6 = conv(n.pool5, 1000, 1, MSRA)
    classify(n, n.fc6, top5="accuracy_top5")


def grown(n, name, bottom):
    """All maps so far, and 32 more: 1x1 and 3x3 convolutions, each after BatchNorm and ReLU."""
    top = activated(n, f"{name}/x1", bottom, in_place=False)
    n[f"conv{name}/x1"] = conv_without_bias(top, 4 * GROWTH, 1, MSRA)
    top = activated(n, f"{name}/x2", n[f"conv{name}/x1"])
    n[f"conv{name}/x2"] = conv_without_bias(top, GROWTH, 3, MSRA, pad=1)
    return concat(n, f"concat_{name}", bottom, n[f"conv{name}/x2"])


def activated(n, name, bottom, **options):
    return normalize(n, (f"conv{name}/bn", f"conv{name}/scale", f"relu{name}"), bottom, **options)


program = Program(
    "DenseNet-121",
    net,
    imagenet(32, 224, mean_value=NEAR_VGG_MEAN, scale=0.017),
    (1, 3, 224, 224),
    input_name="input",
)
