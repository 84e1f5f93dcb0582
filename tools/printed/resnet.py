"""ResNet.

The table is in 000 and 001; × 2; × 3 are its blocks in nets of 18 and 34 layers, or of 50, 101 and
152. Its FLOPs are multiply-adds.
"""

from caffelite.models.program import program

from ._line import line, rows
from ._nets import (
    MODELS,
    WEIGHING,
    chain,
    conv,
    depth,
    error,
    facts,
    multiply_adds,
    of_type,
    outputs,
    size,
    weights,
    zoo,
)

BASIC, BOTTLENECK = ("resnet-18", "resnet-34"), ("resnet-50", "resnet-101", "resnet-152")
BASIC_STAGES = """
conv2_x | 56×56; 3×3, 64; 3×3, 64; × 2; × 3
conv3_x | 28×28; 3×3, 128; 3×3, 128; × 2; × 4
conv4_x | 14×14; 3×3, 256; 3×3, 256; × 2; × 6
conv5_x | 7×7; 3×3, 512; 3×3, 512; × 2; × 3
"""
BOTTLENECK_STAGES = """
conv2_x | 56×56; 1×1, 64; 3×3, 64; 1×1, 256; × 3; × 3; × 3
conv3_x | 28×28; 1×1, 128; 3×3, 128; 1×1, 512; × 4; × 4; × 8
conv4_x | 14×14; 1×1, 256; 3×3, 256; 1×1, 1024; × 6; × 23; × 36
conv5_x | 7×7; 1×1, 512; 3×3, 512; 1×1, 2048; × 3; × 3; × 3
"""
COSTS = ("1.8×10^9", "3.6×10^9", "3.8×10^9", "7.6×10^9", "11.3×10^9")


def lines():
    small = zoo("resnet-18")
    for name in BASIC + BOTTLENECK:
        layers = name.removeprefix("resnet-")
        yield line("000, 001", f"{layers}-layer", layers, depth(zoo(name)))
    first = facts(small, "conv1", "kernel outputs stride")
    sides = size(small, "conv1")[:2]
    yield line("000, 001", "conv1", "112×112; 7×7, 64, stride 2", sides, first)
    pool = facts(small, "pool1", pooling="kernel stride")
    yield line("000, 001", "conv2_x", "3×3 max pool, stride 2", pool)
    yield from stages(BASIC_STAGES, BASIC)
    yield from stages(BOTTLENECK_STAGES, BOTTLENECK)
    end = size(small, "pool5")[:2], outputs(small, "fc1000")
    yield line("000, 001", "average pool, softmax", "1×1; 1000-d fc", end)
    for name, printed in zip(BASIC + BOTTLENECK, COSTS, strict=True):
        yield line("000, 001", f"FLOPs, {name[7:]}-layer", printed, multiply_adds(zoo(name)))
    yield from depths()
    yield from blocks()
    yield from errors()


def stages(table, names):
    nets = [zoo(name) for name in names]
    for number, (what, printed) in enumerate(rows(table), 2):
        (block,) = {block_of(net, number) for net in nets}
        sides = size(nets[0], f"res{number}a")[:2]
        yield line("000, 001", what, printed, sides, block, [blocks_in(n, number) for n in nets])


def block_of(net, stage):
    """The windows and widths of a block."""
    ends = [f"res{stage}a_branch2{end}" for end in "abc"]
    there = [name for name in ends if name in net.params]
    return tuple(tuple(facts(net, name, "kernel outputs")) for name in there)


def blocks_in(net, stage):
    return sum(name.startswith(f"res{stage}") for name in of_type(net, "Eltwise"))


def depths():
    for decks, what, printed in (
        ("001", "2015 ILSVRC winner", "(152层)"),
        ("002", "ImageNet Classification", "152-layer nets"),
        ("003", "train very deep networks", "152 layers on ImageNet"),
        ("004", "ResNet 可以达到", "152 层"),
    ):
        yield line(decks, what, printed, depth(zoo("resnet-152")))
    layers = program(MODELS / "resnet-1202" / "net.py").deploy().layer  # without projections
    deepest = sum(layer.type in WEIGHING for layer in layers)
    yield line("003", "train very deep networks", "1202 on CIFAR", deepest)
    remark = "1,202 in the paper, too, as 003 has it"
    yield line("000", "Stochastic Depth", "1200层网络", deepest, remark=remark)
    both = depth(zoo("plain-20")), depth(zoo("plain-56"))
    yield line("002", "在cifar10数据集上", "20层和56层卷积神经网络", both)
    block = [facts(zoo("resnet-34"), f"res3b_branch2{end}", "kernel")[0] for end in "ab"]
    yield line("003", "Every residual block has two", "3×3 conv layers", *set(block))
    halving = facts(zoo("resnet-34"), "res3a_branch2a", "stride")
    yield line("003", "downsample spatially", "stride 2", halving)


def blocks():
    """The two blocks of 001, for 256 maps."""
    side = (14, 14, 256)
    basic = chain(side, conv(256, 3), conv(256, 3))
    narrow = chain(side, conv(64, 1), conv(64, 3), conv(256, 1))
    yield line(
        "001",
        "残差块",
        "3x3x256x256+3x3x256x256=1,179,648",
        factors(basic),
        weights(basic),
    )
    yield line(
        "001",
        "残差块",
        "1x1x256x64+3x3x64x64+1x1x64x256=69,632",
        factors(narrow),
        weights(narrow),
    )


def factors(net):
    """Window, maps below and maps above of each convolution."""
    return [facts(net, name, "kernel inputs outputs") for name in of_type(net, "Convolution")]


def errors():
    """In percent; those here are the card's."""
    of_six = "of six nets averaged; the card's of one net, one crop"
    for decks, what, printed in (
        ("001", "错误率", "3.57%"),
        ("002", "(resnet152) top5", "3.57%"),
        ("003", "top 5 error", "3.6%"),
    ):
        yield line(decks, what, printed, error("resnet-152", 5), remark=of_six)
