"""SSD300: boxes of six maps of a VGG-16, 8,732 of them in a picture.  Liu et al. 2016."""

from caffelite.models.detection import VOC, Annotated
from caffelite.models.program import ROUND_MEAN, Program
from caffelite.models.ssd_vgg import EXTRAS, ssd_vgg

SIZES = [30, 60, 111, 162, 213, 264, 315]  # a tenth of 300, a fifth to nine tenths, and one more
RATIOS = [[2], [2, 3], [2, 3], [2, 3], [2], [2]]
STEPS = [8, 16, 32, 64, 100, 300]
VALID = {"kernel_size": 3}  # 5 x 5 places become 3 x 3, and these one


def net(n, classes=VOC):
    ssd_vgg(n, classes, [*EXTRAS, ((128, 256), VALID), ((128, 256), VALID)], SIZES, RATIOS, STEPS)


program = Program(
    "VGG_VOC0712_SSD_300x300",
    net,
    Annotated("VOC0712", 300, (32, 8), {"mean_value": ROUND_MEAN}),
    (1, 3, 300, 300),
    input_name="input",
)
