"""Inception-v3: large windows taken apart into 3 x 3, 1 x 7, 7 x 1.  Szegedy et al. 2015."""

from caffelite.models.blocks import (
    HALVE,
    VALID,
    XAVIER,
    average_pool,
    classify_average,
    concat,
    dense,
    max_pool,
    measure,
    pooled,
    tower,
)
from caffelite.models.program import Program, imagenet
from caffelite.net_spec import layers as L


def net(n):
    """As its authors released it; inception-v3-table is what the paper's table has."""
    x = tower(n, "", n.data, ("conv1_3x3_s2", 32, 3, HALVE, "conv1_3x3_relu"))
    x = tower(n, "", x, ("conv2_3x3_s1", 32, 3, VALID, "conv2_3x3_relu"))
    x = tower(n, "", x, ("conv3_3x3_s1", 64, 3, {"pad": 1}, "conv3_3x3_relu"))
    x = n.pool1_3x3_s2 = max_pool(x, 3, 2)
    x = tower(n, "", x, ("conv4_3x3_reduce", 80, 1, {}, "conv4_relu_3x3_reduce"))
    x = tower(n, "", x, ("conv4_3x3", 192, 3, VALID, "conv4_relu_3x3"))
    x = n.pool2_3x3_s2 = max_pool(x, 3, 2)
    for i, projection in enumerate((32, 64, 64), 1):
        x = inception_a(n, f"inception_a{i}", x, projection)
    x = reduction_a(n, "reduction_a", x)
    for i, width in enumerate((128, 160, 160, 192), 1):
        x = inception_b(n, f"inception_b{i}", x, width)
    if "label" in n.tops:
        auxiliary(n, "auxiliary", x)
    x = reduction_b(n, "reduction_b", x)
    for i, pool in enumerate((average_pool, max_pool), 1):
        x = inception_c(n, f"inception_c{i}", x, pool)
    classify_average(n, x)


def inception_a(n, name, x, projection):
    """Figure 5, with one 5x5 left, on 35 x 35."""
    return concat(
        n,
        f"{name}_output",
        tower(n, name, x, ("1x1", 64, 1)),
        tower(n, name, x, ("5x5_reduce", 48, 1), ("5x5", 64, 5)),
        tower(n, name, x, ("3x3_reduce", 64, 1), ("3x3_1", 96, 3), ("3x3_2", 96, 3)),
        tower(n, name, pooled(n, f"{name}_pool", x), ("pool_proj", projection, 1)),
    )


def reduction_a(n, name, x):
    """35 x 35 to 17 x 17, figure 10."""
    return concat(
        n,
        f"{name}_concat",
        tower(n, name, x, ("3x3", 384, 3, HALVE)),
        tower(n, name, x, ("3x3_2_reduce", 64, 1), ("3x3_2", 96, 3), ("3x3_3", 96, 3, HALVE)),
        pooled(n, f"{name}_pool", x, max_pool, stride=2, pad=0),
    )


def inception_b(n, name, x, width):
    """Figure 6 with n = 7, on 17 x 17."""
    return concat(
        n,
        f"{name}_concat",
        tower(n, name, x, ("1x1_2", 192, 1)),
        tower(n, name, x, ("1x7_reduce", width, 1), ("1x7", width, (1, 7)), ("7x1", 192, (7, 1))),
        tower(
            n,
            name,
            x,
            ("7x1_reduce", width, 1),
            ("7x1_2", width, (7, 1)),
            ("1x7_2", width, (1, 7)),
            ("7x1_3", width, (7, 1)),
            ("1x7_3", 192, (1, 7)),
        ),
        tower(n, name, pooled(n, f"{name}_pool_ave", x), ("1x1", 192, 1)),
    )


def reduction_b(n, name, x):
    """17 x 17 to 8 x 8."""
    return concat(
        n,
        f"{name}_concat",
        tower(n, name, x, ("3x3_reduce", 192, 1), ("3x3", 320, 3, HALVE)),
        tower(
            n,
            name,
            x,
            ("1x7_reduce", 192, 1),
            ("1x7", 192, (1, 7)),
            ("7x1", 192, (7, 1)),
            ("3x3_2", 192, 3, HALVE),
        ),
        pooled(n, f"{name}_pool", x, max_pool, stride=2, pad=0),
    )


def inception_c(n, name, x, pool):
    """Figure 7, on 8 x 8: the ends of two towers fork."""
    a = tower(n, name, x, ("1x1_2", 320, 1))
    b = tower(n, name, x, ("1x3_reduce", 384, 1))
    b = [tower(n, name, b, ("1x3", 384, (1, 3))), tower(n, name, b, ("3x1", 384, (3, 1)))]
    c = tower(n, name, x, ("3x3_reduce", 448, 1), ("3x3", 384, 3))
    c = [tower(n, name, c, ("1x3_2", 384, (1, 3))), tower(n, name, c, ("3x1_2", 384, (3, 1)))]
    d = tower(n, name, pooled(n, f"{name}_pool", x, pool), ("1x1", 192, 1))
    return concat(n, f"{name}_concat", a, *b, *c, d)


def auxiliary(n, name, x):
    """A normalized classifier on 17 x 17, whose loss counts 0.4."""
    n[f"{name}_pool"] = average_pool(x, 5, 3)
    top = tower(n, name, n[f"{name}_pool"], ("1x1", 128, 1), ("5x5", 768, 5, VALID))
    scores = n[f"{name}_classifier"] = dense(top, 1000, XAVIER)
    n[f"{name}_loss"] = L.SoftmaxWithLoss(scores, n.label, loss_weight=0.4)
    measure(n, scores, f"{name}_accuracy", f"{name}_accuracy_top5")


program = Program(
    "Inception-v3",
    net,
    imagenet(32, 299, mean_value=[128], scale=1 / 128),
    (1, 3, 299, 299),
    input_name="input",
)
