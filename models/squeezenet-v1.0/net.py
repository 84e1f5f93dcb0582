"""SqueezeNet v1.0: fire modules in place of 3 x 3 convolutions.  Iandola et al. 2016."""

from caffelite.models.blocks import (
    XAVIER,
    average_all,
    classify,
    conv,
    dropout,
    fire,
    gaussian,
    max_pool,
    relu,
)
from caffelite.models.program import ROUND_MEAN, Program, imagenet

FIRES = {  # number: (squeeze, expand)
    2: (16, 64),
    3: (16, 64),
    4: (32, 128),
    5: (32, 128),
    6: (48, 192),
    7: (48, 192),
    8: (64, 256),
    9: (64, 256),
}


def net(n):
    n.conv1 = conv(n.data, 96, 7, XAVIER, stride=2)
    n.relu_conv1 = relu(n.conv1)
    top = n.pool1 = max_pool(n.relu_conv1, 3, 2)
    for number, widths in FIRES.items():
        top = fire(n, f"fire{number}", top, *widths)
        if number in (4, 8):
            top = n[f"pool{number}"] = max_pool(top, 3, 2)
    n.drop9 = dropout(top, 0.5)
    n.conv10 = conv(n.drop9, 1000, 1, gaussian(0.01), pad=1)
    n.relu_conv10 = relu(n.conv10)
    n.pool10 = average_all(n.relu_conv10)
    classify(n, n.pool10, top5="accuracy_top5")


program = Program(
    "SqueezeNet-v1.0",
    net,
    imagenet(32, 227, mean_value=ROUND_MEAN),
    (10, 3, 227, 227),
    input_name="input",
)
