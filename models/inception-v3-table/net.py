"""Inception-v3 as table 1 of its paper has it: six convolutions, then 3, 5 and 2 modules."""

import importlib

from caffelite.models.blocks import (
    HALVE,
    VALID,
    average_pool,
    classify_average,
    concat,
    max_pool,
    pooled,
    tower,
)
from caffelite.models.program import Program, imagenet

released = importlib.import_module("caffelite.models.inception-v3.net")  # import takes no hyphen


def net(n):
    """Row by row; the last of 3 modules halves the grid, and so does the last of 5."""
    x = stem(n, n.data)
    for i in (1, 2):
        x = inception_a(n, f"inception_a{i}", x)
    x = released.reduction_a(n, "reduction_a", x)
    for i, width in enumerate((128, 160, 160, 192), 1):
        x = released.inception_b(n, f"inception_b{i}", x, width)
    if "label" in n.tops:
        released.auxiliary(n, "auxiliary", x)
    x = released.reduction_b(n, "reduction_b", x)
    for i, pool in enumerate((average_pool, max_pool), 1):
        x = released.inception_c(n, f"inception_c{i}", x, pool)
    classify_average(n, x)


def stem(n, x):
    """299 x 299 to 35 x 35."""
    x = tower(n, "", x, ("conv1_3x3_s2", 32, 3, HALVE), ("conv2_3x3_s1", 32, 3, VALID))
    x = tower(n, "", x, ("conv3_3x3_s1", 64, 3))
    x = n.pool1_3x3_s2 = max_pool(x, 3, 2)
    x = tower(n, "", x, ("conv4_3x3_s1", 80, 3, VALID), ("conv5_3x3_s2", 192, 3, HALVE))
    return tower(n, "", x, ("conv6_3x3_s1", 288, 3))


def inception_a(n, name, x):
    """Figure 5, on 35 x 35: no 5x5 is left."""
    return concat(
        n,
        f"{name}_output",
        tower(n, name, x, ("1x1", 64, 1)),
        tower(n, name, x, ("3x3_reduce", 48, 1), ("3x3", 64, 3)),
        tower(n, name, x, ("3x3_2_reduce", 64, 1), ("3x3_2", 96, 3), ("3x3_3", 96, 3)),
        tower(n, name, pooled(n, f"{name}_pool", x), ("pool_proj", 64, 1)),
    )


program = Program(
    "Inception-v3-table",
    net,
    imagenet(32, 299, mean_value=[128], scale=1 / 128),
    (1, 3, 299, 299),
    input_name="input",
)
