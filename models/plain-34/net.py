"""Plain-34: ResNet-34 without its shortcuts, for comparison.  He et al. 2015."""

from caffelite.models.blocks import plain, resnet
from caffelite.models.program import Program, imagenet


def net(n):
    resnet(n, plain, (3, 4, 6, 3))


program = Program("Plain-34", net, imagenet(32, 224), (1, 3, 224, 224), input_name="input")
