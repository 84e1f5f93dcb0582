"""Single layers."""

from ._line import line
from ._nets import chain, conv, facts, pool, size


def lines():
    net = chain((28, 28, 1), conv(3, 5, pad=0), pool(3))
    yield line("000", "Data层", "1×28×28", maps_first(net, "data"))
    yield line("000", "Conv层", "3×24×24", maps_first(net, "1"))
    yield line("000", "Pooling层", "3×22×22", maps_first(net, "2"))
    six = chain((32, 32, 3), conv(6, 5, pad=0))
    yield line("003", "image (width x height x RGB)", "32x32x3", size(six, "data"))
    yield line("003", "filter (kernel)", "5x5x3", facts(six, "1", "kernel inputs"))
    yield line("003", "We stack all feature maps up", "28×28×6", size(six, "1"))
    for stride, printed in ((1, "5x5"), (2, "3x3")):
        sides = size(chain((7, 7, 1), conv(1, 3, pad=0, stride=stride)), "1")[:2]
        yield line("003", f"7x7xD input, Stride {stride}", printed, sides)
    one = chain((28, 28, 192), conv(32, 1))
    yield line("004", "32 个 1 × 1 的卷积", "28 × 28 × 32", size(one, "1"))


def maps_first(net, layer):
    *sides, maps = size(net, layer)
    return maps, sides
