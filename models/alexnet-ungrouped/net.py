"""AlexNet as a single tower: convolutions see all maps below them, not half of them."""

from caffelite.models.alexnet.net import net as alexnet
from caffelite.models.blocks import across_channels_as_printed
from caffelite.models.program import Program, imagenet


def net(n):
    alexnet(n, group=1, normalize=across_channels_as_printed)


program = Program("AlexNet-ungrouped", net, imagenet(128, 227), (1, 3, 227, 227))
