"""FCN-16s: VGG-16 all convolutional, with scores of pool4, of places 16 pixels apart.

Long, Shelhamer, Darrell 2015.
"""

from caffelite.models.program import Program
from caffelite.models.segmentation import fcn, voc


def net(n):
    fcn(n, fuse=(4,))


program = Program("FCN-16s", net, voc(), (1, 3, 500, 500), input_name="input")
