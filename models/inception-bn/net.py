"""BN-Inception: GoogLeNet normalized, 3 x 3 twice in place of 5 x 5.  Ioffe, Szegedy 2015."""

from caffelite.models.blocks import (
    XAVIER,
    average_all,
    average_pool,
    classify,
    concat,
    conv,
    conv_without_bias,
    dense,
    dropout,
    max_pool,
    pooled,
    relu,
    tower,
)
from caffelite.models.program import Program, imagenet

INCEPTION = {  # 1x1, 3x3 reduce, 3x3, double 3x3 reduce, double 3x3, pool: figure 5 of the paper
    "a1": (64, 64, 64, 64, 96, average_pool, 32),
    "a2": (64, 64, 96, 64, 96, average_pool, 64),
    "b1": (224, 64, 96, 96, 128, average_pool, 128),
    "b2": (192, 96, 128, 96, 128, average_pool, 128),
    "b3": (160, 128, 160, 128, 160, average_pool, 96),
    "b4": (96, 128, 192, 160, 192, average_pool, 96),
    "c1": (352, 192, 320, 160, 224, average_pool, 128),
    "c2": (352, 192, 320, 192, 224, max_pool, 128),
}
REDUCTION = {"a2": ("a", 128, 160, 64, 96), "b4": ("b", 128, 192, 192, 256)}
HALF = {"stride": 2, "pad": 1}


def net(n):
    n.conv1_7x7 = conv_without_bias(n.data, 24, 7, XAVIER, pad=3, stride=2, group=3)
    n.conv1_7x7_increase = conv(n.conv1_7x7, 64, 1, XAVIER)
    n.conv1_7x7_increase_relu = relu(n.conv1_7x7_increase)
    top = n.pool1_3x3_s2 = max_pool(n.conv1_7x7_increase_relu, 3, 2)
    top = tower(n, "", top, ("conv2_3x3_reduce", 64, 1))
    top = tower(n, "", top, ("conv2_3x3", 192, 3, {"pad": 1}, "conv2_3x3relu"))
    top = n.pool2_3x3_s2 = max_pool(top, 3, 2)
    for name, widths in INCEPTION.items():
        top = inception(n, f"inception_{name}", top, *widths)
        if name in REDUCTION:
            stage, *widths = REDUCTION[name]
            top = reduction(n, f"reduction_{stage}", top, *widths)
    n.pool_7x7_s1 = average_all(top)
    n.pool_7x7_s1_drop = dropout(n.pool_7x7_s1, 0.2)
    n.classifier = dense(n.pool_7x7_s1_drop, 1000, XAVIER)
    classify(n, n.classifier, top5="accuracy_top5")


def inception(n, name, x, one, reduce_a, three_a, reduce_b, three_b, pool, projection):
    one = tower(n, name, x, ("1x1", one, 1))
    a = tower(n, name, x, ("3x3_a_reduce", reduce_a, 1), ("3x3_a", three_a, 3))
    b = tower(n, name, x, ("3x3_b_reduce", reduce_b, 1), ("3x3_b1", three_b, 3))
    b = tower(n, name, b, ("3x3_b2", three_b, 3))
    d = tower(n, name, pooled(n, f"{name}_pool", x, pool), ("pool_proj", projection, 1))
    return concat(n, f"{name}_output", one, a, b, d)


def reduction(n, name, x, reduce_a, three_a, reduce_b, three_b):
    """Half the size, by two towers and a pool."""
    a = tower(n, name, x, ("3x3_a_reduce", reduce_a, 1), ("3x3_a", three_a, 3, HALF))
    b = tower(n, name, x, ("3x3_b_reduce", reduce_b, 1), ("3x3_b1", three_b, 3))
    b = tower(n, name, b, ("3x3_b2", three_b, 3, HALF))
    return concat(n, f"{name}_concat", a, b, pooled(n, f"{name}_pool", x, max_pool, stride=2))


program = Program(
    "Inception-BN",
    net,
    imagenet(32, 231, mean_value=[128], scale=1 / 128),
    (1, 3, 231, 231),
    input_name="input",
)
