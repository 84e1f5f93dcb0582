"""NIN for CIFAR-10: two 1 x 1 convolutions upon each other one.  Lin, Chen, Yan 2013."""

from caffelite.models.blocks import (
    average_all,
    average_pool,
    classify,
    conv,
    dropout,
    gaussian,
    max_pool,
    relu,
)
from caffelite.models.program import Program, cifar10, small_digits

SLOW = [{"lr_mult": 0.1, "decay_mult": 1}, {"lr_mult": 0.1, "decay_mult": 0}]


def net(n):
    top = mlpconv(n, n.data, ("conv1", 192, 5), ("cccp1", 160, 1), ("cccp2", 96, 1))
    n.pool1 = max_pool(top, 3, 2)
    top = n.drop3 = dropout(n.pool1, 0.5)
    top = mlpconv(n, top, ("conv2", 192, 5), ("cccp3", 192, 1), ("cccp4", 192, 1))
    n.pool2 = average_pool(top, 3, 2)
    top = n.drop6 = dropout(n.pool2, 0.5)
    top = mlpconv(n, top, ("conv3", 192, 3), ("cccp5", 192, 1), ("cccp6", 10, 1, {"param": SLOW}))
    n.pool3 = average_all(top)
    classify(n, n.pool3)


def mlpconv(n, bottom, *layers):
    for name, width, size, *options in layers:
        options = {**({"pad": size // 2} if size > 1 else {}), **(options[0] if options else {})}
        n[name] = conv(bottom, width, size, gaussian(0.05), **options)
        end = name.removeprefix("conv")
        bottom = n[f"relu{end}" if end.isdigit() else f"relu_{name}"] = relu(n[name])
    return bottom


program = Program(
    "CIFAR10_NIN",
    net,
    cifar10(128, scale=1 / 64),
    (1, 3, 32, 32),
    recipe=small_digits(64, scale=1 / 4),
)
