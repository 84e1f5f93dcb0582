"""Faster R-CNN on ZF: AlexNet with windows of 7 x 7, normalized around each place.

Ren, He, Girshick, Sun 2015; as in py-faster-rcnn, both stages learn at once.
"""

from caffelite.models.blocks import XAVIER, conv, max_pool, relu
from caffelite.models.rcnn import SHAPE, faster_rcnn
from caffelite.models.two_stages import TwoStages, VocOfTwoStages
from caffelite.net_spec import layers as L
from caffelite.net_spec import params as P


def net(n):
    top = n.data
    for number, (width, size) in enumerate(((96, 7), (256, 5)), 1):
        n[f"conv{number}"] = conv(top, width, size, XAVIER, pad=size // 2, stride=2)
        n[f"relu{number}"] = relu(n[f"conv{number}"])
        n[f"norm{number}"] = L.LRN(
            n[f"relu{number}"],
            local_size=3,
            alpha=0.00005,
            beta=0.75,
            norm_region=P.LRN.WITHIN_CHANNEL,
        )
        top = n[f"pool{number}"] = max_pool(n[f"norm{number}"], 3, 2, pad=1)
    for number, width in enumerate((384, 384, 256), 3):
        n[f"conv{number}"] = conv(top, width, 3, XAVIER, pad=1)
        top = n[f"relu{number}"] = relu(n[f"conv{number}"])
    faster_rcnn(n, top, 256, 6, "roi_pool_conv5")


program = TwoStages("Faster-R-CNN-ZF", net, VocOfTwoStages(), SHAPE)
