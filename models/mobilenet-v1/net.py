"""MobileNet v1: a 3 x 3 window in each map, then 1 x 1 across maps.  Howard et al. 2017."""

from caffelite.models.blocks import MSRA, average_all, classify, conv, conv_bn
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
NO_DECAY = {"lr_mult": 1, "decay_mult": 0}  # for the few weights of a window in one map


def net(n):
    top, maps = unit(n, "1", n.data, 32, 3, stride=2, pad=1), 32
    for name, (width, stride) in UNITS.items():
        each = {"group": maps, "stride": stride, "pad": 1, "param": NO_DECAY}
        top = unit(n, f"{name}/dw", top, maps, 3, **each)
        top, maps = unit(n, f"{name}/sep", top, width, 1), width
    n.pool6 = average_all(top)
    n.fc7 = conv(n.pool6, 1000, 1, MSRA)
    classify(n, n.fc7, top5="accuracy_top5")


def unit(n, name, bottom, width, size, **options):
    names = (f"conv{name}", f"conv{name}/bn", f"conv{name}/scale", f"relu{name}")
    return conv_bn(n, names, bottom, width, size, MSRA, **options)


program = Program(
    "MobileNet-v1",
    net,
    imagenet(32, 224, mean_value=NEAR_VGG_MEAN, scale=0.017),
    (1, 3, 224, 224),
    input_name="input",
)
