"""R-FCN on ResNet-50, which learns from the regions of a picture that cost most.

Dai, Li, He, Sun 2016.

lint: ignore bias-before-batch-norm (conv1 has a bias, as in the authors' files)
"""

from caffelite.models.rcnn import RFCN, SHAPE, rfcn
from caffelite.models.two_stages import VocOfTwoStages


def net(n):
    rfcn(n, (3, 4, 6), bias=True, mined=True)


program = RFCN("R-FCN-ResNet-50-OHEM", net, VocOfTwoStages(), SHAPE)
