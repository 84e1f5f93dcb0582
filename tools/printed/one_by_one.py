"""Small windows.

Layers that no net of the zoo has, built for the count; biases are left out, as in the decks.
"""

from ._line import line
from ._nets import chain, conv, facts, multiply_adds, of_type, weights, zoo


def lines():
    yield from of_001()
    yield from of_002()
    yield from of_004()


def of_001():
    wide = chain((14, 14, 512), conv(64, 5))
    narrow = chain((14, 14, 512), conv(24, 1), conv(64, 5))
    one, five = (weights(narrow, name) for name in ("1", "2"))
    saved = f"for {weights(wide, '1'):,} of 5 × 5 alone"
    yield line("001", "使用1x1卷积核降维", "1×1×512×24 = 12288", factors(narrow)[0], one)
    yield line("001", "使用1x1卷积核降维", "5×5×24×64 = 38400", factors(narrow)[1], five)
    total = one, five, weights(narrow)
    yield line("001", "使用1x1卷积核降维", "12288 + 38400 = 50688", total, remark=saved)
    block = zoo("googlenet"), "inception_3a/"
    alone = {size: (chain((28, 28, 192), conv(256, size)), "") for size in (3, 5)}
    for what, net, printed in (
        ("Inception", block, "0.16 M; 128 M"),
        ("3x3 卷积", alone[3], "0.44 M; 346 M"),
        ("5x5 卷积", alone[5], "1.22 M; 963 M"),
    ):
        yield line("001", f"{what}: #参数, FLOPS", printed, weights(*net), multiply_adds(*net))


def of_002():
    """5 x 5 from 256 maps to 96, and with 32 between them; 7 x 7 and three of 3 x 3."""
    wide = chain((28, 28, 256), conv(96, 5))
    narrow = chain((28, 28, 256), conv(32, 1), conv(96, 5))
    for what, printed, found in (
        ("乘法次数", "28×28×96×5×5×256≈4.8×10^8", (steps(wide), multiply_adds(wide))),
        ("参数数量", "96×5×5×256≈6.1×10^5", (learned(wide), weights(wide))),
        (
            "乘法次数",
            "28×28×32×256+28×28×96×5×5×32≈6.7×10^7",
            (steps(narrow), multiply_adds(narrow)),
        ),
        ("参数数量", "32×256+96×5×5×32≈8.5×10^4", (learned(narrow), weights(narrow))),
    ):
        yield line("002", what, printed, found)
    large, small = chain((9, 9, 1), conv(1, 7)), chain((9, 9, 1), *3 * [conv(1, 3)])
    kernel = facts(large, "1", "kernel")
    yield line("002", "相同感受野", "7×7 = 49", kernel, weights(large))
    layers, kernel = len(of_type(small, "Convolution")), facts(small, "1", "kernel")
    yield line("002", "相同感受野", "3×3×3 = 27", layers, kernel, weights(small))


def of_004():
    """5 x 5 from 192 maps to 32, and with a bottleneck of 16."""
    wide = chain((28, 28, 192), conv(32, 5))
    narrow = chain((28, 28, 192), conv(16, 1), conv(32, 5))
    all_of_it = multiply_adds(wide)
    yield line(
        "004", "总共要做的乘法有", "28 × 28 × 32 × 5 × 5 × 192 = 120M", steps(wide), all_of_it
    )
    yield line("004", "也就是", "1.2 亿", all_of_it)
    one, five = (multiply_adds(narrow, name) for name in ("1", "2"))
    yield line("004", "bottleneck 的成本", "28 × 28 × 16 × 192 = 2.4M", steps(narrow)[0], one)
    printed = "28 × 28 × 32 × 5 × 5 × 16 = 10M"
    yield line("004", "对于后半部分", printed, steps(narrow)[1], five)
    yield line("004", "二者相加", "12.4M", multiply_adds(narrow))
    ratio = all_of_it / multiply_adds(narrow)
    yield line("004", "大概减少为原来的", "1/10", 1, ratio)


def factors(net):
    """Window, maps below and maps above of each convolution."""
    return [facts(net, name, "kernel inputs outputs") for name in of_type(net, "Convolution")]


def learned(net):
    """Maps above, window, and maps below; decks leave a window of 1 x 1 out."""
    found = [facts(net, name, "outputs kernel inputs") for name in of_type(net, "Convolution")]
    return [(out, kernel if kernel != (1, 1) else (), maps) for out, kernel, maps in found]


def steps(net):
    """The places of each convolution's map, then as `learned`."""
    names = of_type(net, "Convolution")
    sides = (facts(net, name, "size")[0][:2] for name in names)
    return [*zip(sides, learned(net), strict=True)]
