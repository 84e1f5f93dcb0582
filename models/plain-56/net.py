"""ResNet-56 for CIFAR-10 without its shortcuts.  He et al. 2015, section 4.2."""

from caffelite.models.blocks import plain, small_resnet
from caffelite.models.program import Program, shifted_cifar10


def net(n):
    small_resnet(n, plain, 56)


program = Program("Plain-56", net, shifted_cifar10(), (1, 3, 32, 32))
