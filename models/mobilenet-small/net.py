"""A small MobileNet for digits: a 3 x 3 window in each map, then 1 x 1 across maps."""

from caffelite.models.blocks import MSRA, average_all, classify, conv, mobile, separable
from caffelite.models.program import Program, mnist

UNITS = {  # name: (width, stride)
    "2_1": (64, 1),
    "2_2": (128, 2),
    "3_1": (128, 1),
    "3_2": (256, 2),
    "4_1": (256, 1),
}


def net(n):
    top, maps = mobile(n, "1", n.data, 32, 3, pad=1), 32
    for name, (width, stride) in UNITS.items():
        top, maps = separable(n, name, top, maps, width, stride), width
    n.pool5 = average_all(top)
    n.fc6 = conv(n.pool5, 10, 1, MSRA)
    classify(n, n.fc6)


program = Program("MobileNet-small", net, mnist(64), (1, 1, 28, 28), recipe=mnist(64))
