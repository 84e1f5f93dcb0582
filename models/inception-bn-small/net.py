"""A small BN-Inception for pictures of about 28 x 28: modules of two towers, 1 x 1 and 3 x 3.

The Inception that Zhang et al. 2016 train, and MXNet's inception-bn-28-small.
"""

from caffelite.models.blocks import (
    XAVIER,
    average_all,
    classify,
    concat,
    dense,
    max_pool,
    pooled,
    tower,
)
from caffelite.models.program import Program, cifar10, small_digits

MODULES = [  # name, widths of 1 x 1 and 3 x 3; one width: a 3 x 3 and a pool, which halve the map
    *[("3a", 32, 32), ("3b", 32, 48), ("3c", 80)],
    *[("4a", 112, 48), ("4b", 96, 64), ("4c", 80, 80), ("4d", 48, 96), ("4e", 96)],
    *[("5a", 176, 160), ("5b", 176, 160)],
]
HALF = {"stride": 2, "pad": 1}


def net(n):
    top = tower(n, "", n.data, ("conv1", 96, 3))
    for end, *widths in MODULES:
        name = f"inception_{end}"
        *one, three = widths
        if one:
            a = tower(n, name, top, ("1x1", *one, 1))
            b = tower(n, name, top, ("3x3", three, 3))
        else:
            a = tower(n, name, top, ("3x3", three, 3, HALF))
            b = pooled(n, f"{name}_pool", top, max_pool, stride=2, pad=0)
        top = concat(n, f"{name}_output", a, b)
    n.pool = average_all(top)
    n.classifier = dense(n.pool, 10, XAVIER)
    classify(n, n.classifier)


program = Program(
    "Inception-BN-small",
    net,
    cifar10(128, crop_size=28, mirror=True, scale=1 / 64),
    (1, 3, 28, 28),
    recipe=small_digits(64),
)
