"""ResNet-110 whose blocks are left out at random in training.  Huang et al. 2016."""

from caffelite.models.blocks import small, small_resnet
from caffelite.models.program import Program, shifted_cifar10
from caffelite.net_spec import params as P

BLOCKS = 54
LAST = 0.5  # the odds that the last block is there; the first is nearly always


def net(n):
    number = 0

    def block(n, name, bottom, width, stride):
        nonlocal number
        number += 1
        survival = 1 - number / BLOCKS * (1 - LAST)
        operation = P.Eltwise.STOCHASTIC_SUM
        return small(n, name, bottom, width, stride, operation=operation, coeff=[1, survival])

    small_resnet(n, block, 2 + 2 * BLOCKS)


program = Program("Stochastic-depth-110", net, shifted_cifar10(), (1, 3, 32, 32))
