"""ResNet-20 for CIFAR-10: three stages of three residual units.  He et al. 2015, section 4.2."""

from caffelite.models.blocks import small, small_resnet
from caffelite.models.program import Program, padded_mnist, shifted_cifar10


def net(n):
    small_resnet(n, small, 20)


program = Program("ResNet-20", net, shifted_cifar10(), (1, 3, 32, 32), recipe=padded_mnist(32))
