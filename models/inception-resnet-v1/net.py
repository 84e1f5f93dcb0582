"""Inception-ResNet-v1: 5, 10 and 5 modules add to their bottoms.  Szegedy et al. 2016."""

from caffelite.models.blocks import (
    HALVE,
    VALID,
    classify_average,
    concat,
    linear_residual,
    max_pool,
    pooled,
    tower,
)
from caffelite.models.program import Program, imagenet


def net(n):
    x = stem(n, n.data)
    for i in range(1, 6):
        x = residual_a(n, f"inception_resnet_v1_a{i}", x)
    x = reduction_a(n, "reduction_a", x)
    for i in range(1, 11):
        x = residual_b(n, f"inception_resnet_v1_b{i}", x)
    x = reduction_b(n, "reduction_b", x)
    for i in range(1, 6):
        x = residual_c(n, f"inception_resnet_v1_c{i}", x)
    classify_average(n, x)


def stem(n, x):
    """299 x 299 to 35 x 35, figure 14."""
    x = tower(n, "", x, ("conv1_3x3_s2", 32, 3, HALVE), ("conv2_3x3_s1", 32, 3, VALID))
    x = tower(n, "", x, ("conv3_3x3_s1", 64, 3))
    x = n.pool1_3x3_s2 = max_pool(x, 3, 2)
    x = tower(n, "", x, ("conv4_3x3_reduce", 80, 1), ("conv4_3x3", 192, 3, VALID))
    return tower(n, "", x, ("conv5_3x3_s2", 256, 3, HALVE))


def residual_a(n, name, x):
    """35 x 35, figure 10."""
    branch = concat(
        n,
        f"{name}_concat",
        tower(n, name, x, ("1x1", 32, 1)),
        tower(n, name, x, ("3x3_reduce", 32, 1), ("3x3", 32, 3)),
        tower(n, name, x, ("3x3_2_reduce", 32, 1), ("3x3_2", 32, 3), ("3x3_3", 32, 3)),
    )
    return linear_residual(n, name, x, branch, 256, 0.17)


def reduction_a(n, name, x):
    """35 x 35 to 17 x 17, figure 7 with k, l, m, n = 192, 192, 256, 384."""
    return concat(
        n,
        f"{name}_concat",
        tower(n, name, x, ("3x3", 384, 3, HALVE)),
        tower(n, name, x, ("3x3_2_reduce", 192, 1), ("3x3_2", 192, 3), ("3x3_3", 256, 3, HALVE)),
        pooled(n, f"{name}_pool", x, max_pool, stride=2, pad=0),
    )


def residual_b(n, name, x):
    """17 x 17, figure 11."""
    branch = concat(
        n,
        f"{name}_concat",
        tower(n, name, x, ("1x1", 128, 1)),
        tower(n, name, x, ("1x7_reduce", 128, 1), ("1x7", 128, (1, 7)), ("7x1", 128, (7, 1))),
    )
    return linear_residual(n, name, x, branch, 896, 0.1)


def reduction_b(n, name, x):
    """17 x 17 to 8 x 8, figure 12."""
    return concat(
        n,
        f"{name}_concat",
        tower(n, name, x, ("3x3_reduce", 256, 1), ("3x3", 384, 3, HALVE)),
        tower(n, name, x, ("3x3_2_reduce", 256, 1), ("3x3_2", 256, 3, HALVE)),
        tower(n, name, x, ("3x3_3_reduce", 256, 1), ("3x3_3", 256, 3), ("3x3_4", 256, 3, HALVE)),
        pooled(n, f"{name}_pool", x, max_pool, stride=2, pad=0),
    )


def residual_c(n, name, x):
    """8 x 8, figure 13."""
    branch = concat(
        n,
        f"{name}_concat",
        tower(n, name, x, ("1x1", 192, 1)),
        tower(n, name, x, ("1x3_reduce", 192, 1), ("1x3", 192, (1, 3)), ("3x1", 192, (3, 1))),
    )
    return linear_residual(n, name, x, branch, 1792, 0.2)


program = Program(
    "Inception-ResNet-v1",
    net,
    imagenet(32, 299, mean_value=[128], scale=1 / 128),
    (1, 3, 299, 299),
    input_name="input",
)
