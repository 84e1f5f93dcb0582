"""SSD512: boxes of seven maps of a VGG-16, 24,564 of them in a picture.  Liu et al. 2016."""

from caffelite.models.detection import VOC, Annotated
from caffelite.models.program import ROUND_MEAN, Program
from caffelite.models.ssd_vgg import EXTRAS, HALVED, ssd_vgg

SIZES = [35.84, 76.8, 153.6, 230.4, 307.2, 384.0, 460.8, 537.6]  # 7 % of 512, 15, 30 ... 90, 105
RATIOS = [[2], [2, 3], [2, 3], [2, 3], [2, 3], [2], [2]]
STEPS = [8, 16, 32, 64, 128, 256, 512]
LAST = {"kernel_size": 4, "pad": 1}  # 2 x 2 places become one


def net(n):
    extras = [*EXTRAS, ((128, 256), HALVED), ((128, 256), HALVED), ((128, 256), LAST)]
    ssd_vgg(n, VOC, extras, SIZES, RATIOS, STEPS)


program = Program(
    "VGG_VOC0712_SSD_512x512",
    net,
    Annotated("VOC0712", 512, (32, 4), {"mean_value": ROUND_MEAN}),
    (1, 3, 512, 512),
    input_name="input",
)
