"""Faster R-CNN on VGG-16, whose first two stages stay as they came.

Ren, He, Girshick, Sun 2015; as in py-faster-rcnn, both stages of the detector learn at once.
"""

from caffelite.models.blocks import VGG_16, max_pool, vgg_stage
from caffelite.models.rcnn import SHAPE, faster_rcnn
from caffelite.models.two_stages import TwoStages, VocOfTwoStages

FIXED = {"param": [{"lr_mult": 0, "decay_mult": 0}] * 2}


def net(n):
    top = n.data
    for stage, widths in enumerate(VGG_16, 1):
        top = vgg_stage(n, stage, top, widths, **(FIXED if stage < 3 else {}))
        if stage < 5:
            top = n[f"pool{stage}"] = max_pool(top, 2, 2)
    faster_rcnn(n, top, 512, 7, "pool5")


program = TwoStages("Faster-R-CNN-VGG-16", net, VocOfTwoStages(), SHAPE)
