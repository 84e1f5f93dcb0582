"""ResNet-152: bottleneck units of 3, 8, 36 and 3, each added to its bottom.  He et al. 2015."""

from caffelite.models.blocks import bottleneck, resnet
from caffelite.models.program import Program, imagenet


def net(n):
    resnet(n, bottleneck, (3, 8, 36, 3), numbered=True)


program = Program("ResNet-152", net, imagenet(32, 224), (1, 3, 224, 224), input_name="input")
