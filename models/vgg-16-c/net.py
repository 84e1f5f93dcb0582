"""VGG-16 with 1 x 1 convolutions at the ends of three stages, configuration C."""

from caffelite.models.blocks import vgg
from caffelite.models.program import VGG_MEAN, Program, imagenet


def net(n):
    vgg(n, [(64, 64), (128, 128), (256, 256, (256, 1)), (512, 512, (512, 1)), (512, 512, (512, 1))])


program = Program(
    "VGG_ILSVRC_16_layers_C",
    net,
    imagenet(64, 224, mean_value=VGG_MEAN),
    (1, 3, 224, 224),
    input_name="input",
)
