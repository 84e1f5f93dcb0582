"""ResNet-44 for CIFAR-10: three stages of seven residual units.  He et al. 2015, section 4.2."""

from caffelite.models.blocks import small, small_resnet
from caffelite.models.program import Program, shifted_cifar10


def net(n):
    small_resnet(n, small, 44)


program = Program("ResNet-44", net, shifted_cifar10(), (1, 3, 32, 32))
