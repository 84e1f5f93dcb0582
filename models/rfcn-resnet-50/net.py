"""R-FCN on ResNet-50: maps of 7 x 7 places of regions, and nothing learned behind them.

Dai, Li, He, Sun 2016.

lint: ignore bias-before-batch-norm (conv1 has a bias, as in the authors' files)
"""

from caffelite.models.rcnn import RFCN, SHAPE, rfcn
from caffelite.models.two_stages import VocOfTwoStages


def net(n):
    rfcn(n, (3, 4, 6), bias=True)


program = RFCN("R-FCN-ResNet-50", net, VocOfTwoStages(), SHAPE)
