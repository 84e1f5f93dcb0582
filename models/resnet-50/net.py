"""ResNet-50: bottleneck units of 3, 4, 6 and 3, each added to its bottom.  He et al. 2015.

lint: ignore bias-before-batch-norm (conv1 has its bias, as in the published weights)
"""

from caffelite.models.blocks import bottleneck, resnet
from caffelite.models.program import Program, imagenet


def net(n):
    resnet(n, bottleneck, (3, 4, 6, 3), bias=True)


program = Program("ResNet-50", net, imagenet(32, 224), (1, 3, 224, 224), input_name="input")
