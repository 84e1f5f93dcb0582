"""VGG-13: five stages of two 3 x 3 convolutions, configuration B.  Simonyan, Zisserman 2014."""

from caffelite.models.blocks import vgg
from caffelite.models.program import VGG_MEAN, Program, imagenet


def net(n):
    vgg(n, [(64, 64), (128, 128), (256, 256), (512, 512), (512, 512)])


program = Program(
    "VGG_ILSVRC_13_layers",
    net,
    imagenet(64, 224, mean_value=VGG_MEAN),
    (1, 3, 224, 224),
    input_name="input",
)
