"""ResNet-v2-152: pre-activated bottleneck units of 3, 8, 36 and 3.  He et al. 2016."""

from caffelite.models.blocks import pre_activated, resnet
from caffelite.models.program import Program, imagenet


def net(n):
    resnet(n, pre_activated, (3, 8, 36, 3), numbered=True)


program = Program("ResNet-v2-152", net, imagenet(32, 224), (1, 3, 224, 224), input_name="input")
