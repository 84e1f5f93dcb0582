"""Fast R-CNN on VGG-16, whose first two stages stay as they came; regions are given.

Girshick 2015. There, targets are normalized by their own mean and deviation; here, as in Faster
R-CNN, by numbers that are near these.

lint: ignore unused-top (im_info is read by the net that finds boxes)
"""

from caffelite.models.rcnn import SHAPE, fast_rcnn, vgg_16
from caffelite.models.two_stages import TwoStages, VocOfTwoStages


def net(n):
    fast_rcnn(n, vgg_16(n), 7, "pool5", batch_size=64)


program = TwoStages("Fast-R-CNN-VGG-16", net, VocOfTwoStages(regions=True), SHAPE, given=300)
