"""MSRA model C: 22 wide layers, learned slopes below 0, a pyramid of pools.  He et al. 2015."""

from caffelite.models.blocks import prelu_net
from caffelite.models.program import Program, imagenet


def net(n):
    prelu_net(n, (6, 6, 6), (384, 768, 896))


program = Program("MSRA-PReLU-C", net, imagenet(32, 224), (1, 3, 224, 224))
