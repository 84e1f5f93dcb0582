"""Faster R-CNN on VGG-16, whose first two stages stay as they came.

Ren, He, Girshick, Sun 2015; as in py-faster-rcnn, both stages of the detector learn at once.
"""

from caffelite.models.rcnn import SHAPE, faster_rcnn, vgg_16
from caffelite.models.two_stages import TwoStages, VocOfTwoStages


def net(n):
    faster_rcnn(n, vgg_16(n), 512, 7, "pool5")


program = TwoStages("Faster-R-CNN-VGG-16", net, VocOfTwoStages(), SHAPE)
