"""Inception-ResNet-v2: 10, 20 and 10 modules add to their bottoms.  Szegedy et al. 2016."""

from caffelite.models.blocks import (
    HALVE,
    VALID,
    XAVIER,
    classify_average,
    concat,
    conv,
    linear_residual,
    max_pool,
    pooled,
    tower,
)
from caffelite.models.program import Program, imagenet
from caffelite.net_spec import layers as L


def net(n):
    x = stem(n, n.data)
    for i in range(1, 11):
        x = residual_a(n, f"inception_resnet_v2_a{i}", x)
    x = reduction_a(n, "reduction_a", x)
    for i in range(1, 21):
        x = residual_b(n, f"inception_resnet_v2_b{i}", x)
    x = reduction_b(n, "reduction_b", x)
    for i in range(1, 10):
        x = residual_c(n, f"inception_resnet_v2_c{i}", x)
    x = residual_c(n, "inception_resnet_v2_c10", x, last=True)
    classify_average(n, tower(n, "", x, ("conv6_1x1", 1536, 1)))


def stem(n, x):
    """299 x 299 to 35 x 35, as the authors trained it: Inception-v3's, and a module of its kind."""
    x = tower(n, "", x, ("conv1_3x3_s2", 32, 3, HALVE, "conv1_3x3_relu"))
    x = tower(n, "", x, ("conv2_3x3_s1", 32, 3, VALID, "conv2_3x3_relu"))
    x = tower(n, "", x, ("conv3_3x3_s1", 64, 3, {"pad": 1}, "conv3_3x3_relu"))
    x = n.pool1_3x3_s2 = max_pool(x, 3, 2)
    x = tower(n, "", x, ("conv4_3x3_reduce", 80, 1))
    x = tower(n, "", x, ("conv4_3x3", 192, 3, VALID, "conv4_relu_3x3"))
    x = n.pool2_3x3_s2 = max_pool(x, 3, 2)
    return concat(
        n,
        "stem_concat",
        tower(n, "conv5", x, ("1x1", 96, 1)),
        tower(n, "conv5", x, ("5x5_reduce", 48, 1), ("5x5", 64, 5)),
        tower(n, "conv5", x, ("3x3_reduce", 64, 1), ("3x3", 96, 3), ("3x3_2", 96, 3)),
        tower(n, "conv5", pooled(n, "ave_pool", x), ("1x1_ave", 64, 1)),
    )


def residual_a(n, name, x):
    """35 x 35, figure 16."""
    branch = concat(
        n,
        f"{name}_concat",
        tower(n, name, x, ("1x1", 32, 1)),
        tower(n, name, x, ("3x3_reduce", 32, 1), ("3x3", 32, 3)),
        tower(n, name, x, ("3x3_2_reduce", 32, 1), ("3x3_2", 48, 3), ("3x3_3", 64, 3)),
    )
    return linear_residual(n, name, x, branch, 320, 0.17)


def reduction_a(n, name, x):
    """35 x 35 to 17 x 17, figure 7 with k, l, m, n = 256, 256, 384, 384."""
    return concat(
        n,
        f"{name}_concat",
        tower(n, name, x, ("3x3", 384, 3, HALVE)),
        tower(n, name, x, ("3x3_2_reduce", 256, 1), ("3x3_2", 256, 3), ("3x3_3", 384, 3, HALVE)),
        pooled(n, f"{name}_pool", x, max_pool, stride=2, pad=0),
    )


def residual_b(n, name, x):
    """17 x 17, figure 17."""
    branch = concat(
        n,
        f"{name}_concat",
        tower(n, name, x, ("1x1", 192, 1)),
        tower(n, name, x, ("1x7_reduce", 128, 1), ("1x7", 160, (1, 7)), ("7x1", 192, (7, 1))),
    )
    return linear_residual(n, name, x, branch, 1088, 0.1)


def reduction_b(n, name, x):
    """17 x 17 to 8 x 8, figure 18."""
    return concat(
        n,
        f"{name}_concat",
        tower(n, name, x, ("3x3_reduce", 256, 1), ("3x3", 384, 3, HALVE)),
        tower(n, name, x, ("3x3_2_reduce", 256, 1), ("3x3_2", 288, 3, HALVE)),
        tower(n, name, x, ("3x3_3_reduce", 256, 1), ("3x3_3", 288, 3), ("3x3_4", 320, 3, HALVE)),
        pooled(n, f"{name}_pool", x, max_pool, stride=2, pad=0),
    )


def residual_c(n, name, x, last=False):
    """8 x 8, figure 19; the last adds all of f(x), and has no ReLU."""
    branch = concat(
        n,
        f"{name}_concat",
        tower(n, name, x, ("1x1", 192, 1)),
        tower(n, name, x, ("1x3_reduce", 192, 1), ("1x3", 224, (1, 3)), ("3x1", 256, (3, 1))),
    )
    if not last:
        return linear_residual(n, name, x, branch, 2080, 0.2)
    n[f"{name}_up"] = conv(branch, 2080, 1, XAVIER, 0.2)
    n[f"{name}_residual_eltwise"] = L.Eltwise(x, n[f"{name}_up"])
    return n[f"{name}_residual_eltwise"]


program = Program(
    "Inception-ResNet-v2",
    net,
    imagenet(32, 299, mean_value=[128], scale=1 / 128),
    (1, 3, 299, 299),
    input_name="input",
)
