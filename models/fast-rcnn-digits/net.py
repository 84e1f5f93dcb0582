"""Fast R-CNN for digits in scenes: regions of selective search, each pooled to 6 x 6 bins.

lint: ignore unused-top (im_info is read by the net that finds boxes)
"""

from caffelite.models.scenes import SHAPE, one_map
from caffelite.models.two_stages import ScenesWithRegions, TwoStages, digit_of_region


def net(n):
    digit_of_region(n, one_map(n))


program = TwoStages("Fast-R-CNN-digits", net, ScenesWithRegions(), SHAPE, given=100)
