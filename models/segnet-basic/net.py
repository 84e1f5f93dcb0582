"""SegNet-Basic: four convolutions of 7 x 7, and four that put back what poolings left out.

Badrinarayanan, Kendall, Cipolla 2015.

lint: ignore bias-before-batch-norm (as published)
"""

from caffelite.models.blocks import MSRA, across_channels, conv
from caffelite.models.program import Program
from caffelite.models.segmentation import (
    CAMVID,
    batch_normalized,
    camvid,
    classify_camvid,
    masked_pool,
    unpool,
)


def net(n):
    top, masks = across_channels(n.data), {}
    n.norm = top
    for i in range(1, 5):
        top = batch_normalized(n, f"conv{i}", top, 64, 7, relu=f"relu{i}", param=None)
        top, masks[i] = masked_pool(n, f"pool{i}", top)
    for i in range(4, 0, -1):
        top = unpool(n, f"upsample{i}", top, masks[i], (45, 60) if i == 4 else None)
        top = batch_normalized(n, f"conv_decode{i}", top, 64, 7, param=None)
    n.conv_classifier = conv(top, CAMVID, 1, MSRA)
    classify_camvid(n, n.conv_classifier)


program = Program("segnet", net, camvid(), (1, 3, 360, 480))
