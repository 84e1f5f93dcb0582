"""VGG-11 with normalization behind its first convolution, configuration A-LRN."""

from caffelite.models.blocks import vgg
from caffelite.models.program import VGG_MEAN, Program, imagenet


def net(n):
    vgg(n, [(64,), (128,), (256, 256), (512, 512), (512, 512)], normalized=True)


program = Program(
    "VGG_ILSVRC_11_layers_LRN",
    net,
    imagenet(64, 224, mean_value=VGG_MEAN),
    (1, 3, 224, 224),
    input_name="input",
)
