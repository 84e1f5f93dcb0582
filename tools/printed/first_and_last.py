"""First and last layers.

Dense ones. Those that no net of the zoo has are built for the count; nothing is allocated for them.
"""

from ._line import line
from ._nets import chain, dense, facts, size, weights, zoo


def lines():
    small = chain((32, 32, 3), dense(100))
    seen, hidden = facts(small, "1", other="inputs outputs")
    yield line("002", "输入数据量为", "32x32x3 = 3072", size(small, "data"), seen)
    yield line("002", "第一层权值数量为", "3072 x100 = 307200", seen, hidden, weights(small))
    large = weights(chain((1024, 1024, 1), dense(1000)), "1")
    colours = f"of grey pictures; of three colours it is {3 * large:,}, more than a blob may hold"
    yield line("002", "1024x1024, 1000: 第一层权重数量级为", "10^9", large, remark=colours)
    yield from last()


def last():
    lenet = chain((5, 5, 16), dense(120))
    found = maps_first(lenet, "data"), facts(lenet, "1", other="outputs"), weights(lenet, "1")
    yield line("001", "LeNet", "16x5x5x120 = 48k", found)
    for what, name, printed, remark in (
        ("AlexNet", "alexnet", "256x5x5x4096 = 26M", "its last maps are 6 × 6"),
        ("VGG", "vgg-16", "512x7x7x4096 = 102M", ""),
    ):
        net = zoo(name)
        found = maps_first(net, "pool5"), facts(net, "fc6", other="outputs"), weights(net, "fc6")
        yield line("001", what, printed, found, remark=remark)


def maps_first(net, layer):
    *sides, maps = size(net, layer)
    return maps, sides
