"""R-FCN on ResNet-101, which learns from the regions of a picture that cost most.

Dai, Li, He, Sun 2016.
"""

from caffelite.models.rcnn import RFCN, SHAPE, rfcn
from caffelite.models.two_stages import VocOfTwoStages


def net(n):
    rfcn(n, (3, 4, 23), mined=True)


program = RFCN("R-FCN-ResNet-101-OHEM", net, VocOfTwoStages(), SHAPE)
