"""FCN-8s: VGG-16 all convolutional, with scores of pool4 and pool3, of places 8 pixels apart.

Long, Shelhamer, Darrell 2015.
"""

from caffelite.models.program import Program
from caffelite.models.segmentation import fcn, voc


def net(n):
    fcn(n, fuse=(4, 3))


program = Program("FCN-8s", net, voc(), (1, 3, 500, 500), input_name="input")
