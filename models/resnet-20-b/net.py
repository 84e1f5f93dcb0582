"""ResNet-20 for CIFAR-10 whose shortcuts project where sizes change: option B.  He et al. 2015."""

from caffelite.models.blocks import basic, small_resnet
from caffelite.models.program import Program, shifted_cifar10


def net(n):
    small_resnet(n, basic, 20)


program = Program("ResNet-20-B", net, shifted_cifar10(), (1, 3, 32, 32))
