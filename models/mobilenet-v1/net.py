"""MobileNet v1: a 3 x 3 window in each map, then 1 x 1 across maps.  Howard et al. 2017."""

from caffelite.models.blocks import MSRA, average_all, classify, conv, mobile, separable
from caffelite.models.program import NEAR_VGG_MEAN, Program, imagenet

UNITS = {  # name: (width, stride)
    "2_1": (64, 1),
    "2_2": (128, 2),
    "3_1": (128, 1),
    "3_2": (256, 2),
    "4_1": (256, 1),
    "4_2": (512, 2),
    **{f"5_{i}": (512, 1) for i in range(1, 6)},
    "5_6": (1024, 2),
    "6": (1024, 1),
}


def net(n):
    top, maps = mobile(n, "1", n.data, 32, 3, stride=2, pad=1), 32
    for name, (width, stride) in UNITS.items():
        top, maps = separable(n, name, top, maps, width, stride), width
    n.pool6 = average_all(top)
    n.fc7 = conv(n.pool6, 1000, 1, MSRA)
    classify(n, n.fc7, top5="accuracy_top5")


program = Program(
    "MobileNet-v1",
    net,
    imagenet(32, 224, mean_value=NEAR_VGG_MEAN, scale=0.017),
    (1, 3, 224, 224),
    input_name="input",
)
