"""ResNet-34: residual units of two 3 x 3 convolutions, 3, 4, 6 and 3.  He et al. 2015."""

from caffelite.models.blocks import basic, resnet
from caffelite.models.program import Program, imagenet


def net(n):
    resnet(n, basic, (3, 4, 6, 3))


program = Program("ResNet-34", net, imagenet(32, 224), (1, 3, 224, 224), input_name="input")
