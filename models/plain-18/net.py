"""Plain-18: ResNet-18 without its shortcuts, for comparison.  He et al. 2015."""

from caffelite.models.blocks import plain, resnet
from caffelite.models.program import Program, imagenet


def net(n):
    resnet(n, plain, (2, 2, 2, 2))


program = Program("Plain-18", net, imagenet(32, 224), (1, 3, 224, 224), input_name="input")
