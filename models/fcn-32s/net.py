"""FCN-32s: VGG-16 all convolutional, the scores of places 32 pixels apart, enlarged.

Long, Shelhamer, Darrell 2015.
"""

from caffelite.models.program import Program
from caffelite.models.segmentation import fcn, voc


def net(n):
    fcn(n, fuse=())


program = Program("FCN-32s", net, voc(), (1, 3, 500, 500), input_name="input")
