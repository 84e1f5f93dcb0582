"""ResNet-110 for CIFAR-10: three stages of 18 residual units.  He et al. 2015, section 4.2."""

from caffelite.models.blocks import small, small_resnet
from caffelite.models.program import Program, shifted_cifar10


def net(n):
    small_resnet(n, small, 110)


program = Program("ResNet-110", net, shifted_cifar10(), (1, 3, 32, 32))
