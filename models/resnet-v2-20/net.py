"""ResNet-v2-20 for CIFAR-10: pre-activated units, three in a stage.  He et al. 2016."""

from caffelite.models.blocks import small_pre_activated, small_resnet
from caffelite.models.program import Program, shifted_cifar10, small_digits


def net(n):
    small_resnet(n, small_pre_activated, 20)


program = Program("ResNet-v2-20", net, shifted_cifar10(), (1, 3, 32, 32), recipe=small_digits(64))
