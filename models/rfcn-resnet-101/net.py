"""R-FCN on ResNet-101: maps of 7 x 7 places of regions, and nothing learned behind them.

Dai, Li, He, Sun 2016.
"""

from caffelite.models.rcnn import RFCN, SHAPE, rfcn
from caffelite.models.two_stages import VocOfTwoStages


def net(n):
    rfcn(n, (3, 4, 23))


program = RFCN("R-FCN-ResNet-101", net, VocOfTwoStages(), SHAPE)
