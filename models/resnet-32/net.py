"""ResNet-32 for CIFAR-10: three stages of five residual units.  He et al. 2015, section 4.2."""

from caffelite.models.blocks import small, small_resnet
from caffelite.models.program import Program, shifted_cifar10


def net(n):
    small_resnet(n, small, 32)


program = Program("ResNet-32", net, shifted_cifar10(), (1, 3, 32, 32))
