"""ResNet-1202 whose blocks are left out at random in training.  Huang et al. 2016."""

from caffelite.models.blocks import small_resnet, surviving
from caffelite.models.program import Program, shifted_cifar10


def net(n):
    small_resnet(n, surviving(600, last=0.5), 1202)


program = Program("Stochastic-depth-1202", net, shifted_cifar10(), (1, 3, 32, 32))
