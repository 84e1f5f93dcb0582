"""ResNet-18: residual units of two 3 x 3 convolutions, two in a stage.  He et al. 2015."""

from caffelite.models.blocks import basic, resnet
from caffelite.models.program import Program, imagenet


def net(n):
    resnet(n, basic, (2, 2, 2, 2))


program = Program("ResNet-18", net, imagenet(32, 224), (1, 3, 224, 224), input_name="input")
