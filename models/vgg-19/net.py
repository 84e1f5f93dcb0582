"""VGG-19: five stages of 3 x 3 convolutions, configuration E.  Simonyan, Zisserman 2014."""

from caffelite.models.blocks import vgg
from caffelite.models.program import VGG_MEAN, Program, imagenet


def net(n):
    vgg(n, [(64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4])


program = Program(
    "VGG_ILSVRC_19_layers",
    net,
    imagenet(64, 224, mean_value=VGG_MEAN),
    (1, 3, 224, 224),
    input_name="input",
)
