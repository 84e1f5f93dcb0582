"""Inception-v4: 4, 7 and 3 like modules on three grids.  Szegedy, Ioffe, Vanhoucke 2016."""

from caffelite.models.blocks import (
    HALVE,
    VALID,
    classify_average,
    concat,
    max_pool,
    pooled,
    tower,
)
from caffelite.models.program import Program, imagenet


def net(n):
    x = stem(n, n.data)
    for i in range(1, 5):
        x = inception_a(n, f"inception_a{i}", x)
    x = reduction_a(n, "reduction_a", x)
    for i in range(1, 8):
        x = inception_b(n, f"inception_b{i}", x)
    x = reduction_b(n, "reduction_b", x)
    for i in range(1, 4):
        x = inception_c(n, f"inception_c{i}", x)
    classify_average(n, x)


def stem(n, x):
    """299 x 299 to 35 x 35, figure 3."""
    x = tower(n, "", x, ("conv1_3x3_s2", 32, 3, HALVE), ("conv2_3x3_s1", 32, 3, VALID))
    x = tower(n, "", x, ("conv3_3x3_s1", 64, 3))
    name = "inception_stem1"
    a = tower(n, name, x, ("3x3_s2", 96, 3, HALVE))
    x = concat(n, name, pooled(n, f"{name}_pool", x, max_pool, stride=2, pad=0), a)
    name = "inception_stem2"
    a = tower(n, name, x, ("3x3_reduce", 64, 1), ("3x3", 96, 3, VALID))
    b = tower(n, name, x, ("1x7_reduce", 64, 1), ("1x7", 64, (1, 7)), ("7x1", 64, (7, 1)))
    x = concat(n, name, a, tower(n, name, b, ("3x3_2", 96, 3, VALID)))
    name = "inception_stem3"
    a = tower(n, name, x, ("3x3_s2", 192, 3, HALVE))
    return concat(n, name, a, pooled(n, f"{name}_pool", x, max_pool, stride=2, pad=0))


def inception_a(n, name, x):
    """35 x 35, figure 4."""
    return concat(
        n,
        f"{name}_concat",
        tower(n, name, x, ("1x1_2", 96, 1)),
        tower(n, name, x, ("3x3_reduce", 64, 1), ("3x3", 96, 3)),
        tower(n, name, x, ("3x3_2_reduce", 64, 1), ("3x3_2", 96, 3), ("3x3_3", 96, 3)),
        tower(n, name, pooled(n, f"{name}_pool_ave", x), ("1x1", 96, 1)),
    )


def reduction_a(n, name, x):
    """35 x 35 to 17 x 17, figure 7 with k, l, m, n = 192, 224, 256, 384."""
    return concat(
        n,
        f"{name}_concat",
        tower(n, name, x, ("3x3", 384, 3, HALVE)),
        tower(n, name, x, ("3x3_2_reduce", 192, 1), ("3x3_2", 224, 3), ("3x3_3", 256, 3, HALVE)),
        pooled(n, f"{name}_pool", x, max_pool, stride=2, pad=0),
    )


def inception_b(n, name, x):
    """17 x 17, figure 5."""
    return concat(
        n,
        f"{name}_concat",
        tower(n, name, x, ("1x1_2", 384, 1)),
        tower(n, name, x, ("1x7_reduce", 192, 1), ("1x7", 224, (1, 7)), ("7x1", 256, (7, 1))),
        tower(
            n,
            name,
            x,
            ("7x1_2_reduce", 192, 1),
            ("7x1_2", 192, (7, 1)),
            ("1x7_2", 224, (1, 7)),
            ("7x1_3", 224, (7, 1)),
            ("1x7_3", 256, (1, 7)),
        ),
        tower(n, name, pooled(n, f"{name}_pool_ave", x), ("1x1", 128, 1)),
    )


def reduction_b(n, name, x):
    """17 x 17 to 8 x 8, figure 8."""
    return concat(
        n,
        f"{name}_concat",
        tower(n, name, x, ("3x3_reduce", 192, 1), ("3x3", 192, 3, HALVE)),
        tower(
            n,
            name,
            x,
            ("1x7_reduce", 256, 1),
            ("1x7", 256, (1, 7)),
            ("7x1", 320, (7, 1)),
            ("3x3_2", 320, 3, HALVE),
        ),
        pooled(n, f"{name}_pool", x, max_pool, stride=2, pad=0),
    )


def inception_c(n, name, x):
    """8 x 8, figure 6: the ends of two towers fork."""
    a = tower(n, name, x, ("1x1_2", 256, 1))
    b = tower(n, name, x, ("1x1_3", 384, 1))
    b = [tower(n, name, b, ("1x3", 256, (1, 3))), tower(n, name, b, ("3x1", 256, (3, 1)))]
    c = tower(n, name, x, ("1x1_4", 384, 1), ("3x1_2", 448, (3, 1)), ("1x3_2", 512, (1, 3)))
    c = [tower(n, name, c, ("1x3_3", 256, (1, 3))), tower(n, name, c, ("3x1_3", 256, (3, 1)))]
    d = tower(n, name, pooled(n, f"{name}_pool_ave", x), ("1x1", 256, 1))
    return concat(n, f"{name}_concat", a, *b, *c, d)


program = Program(
    "Inception-v4",
    net,
    imagenet(32, 299, mean_value=[128], scale=1 / 128),
    (1, 3, 299, 299),
    input_name="input",
)
