"""MSRA.

The table's complexity is in multiply-adds.
"""

from ._line import fact, in_words, line
from ._nets import chain, conv, depth, facts, multiply_adds, of_type, outputs, weights, zoo

NETS = {
    "VGG-19": "vgg-19",
    "model A": "msra-prelu-a",
    "model B": "msra-prelu-b",
    "model C": "msra-prelu-c",
}
SIX = "the deck's text has five; 22 layers come of six, as in the paper"
POOL, SPP = "2×2 maxpool, /2", "spp, {7, 3, 2, 1}"
VGG_19 = {
    1: "3×3, 64 3×3, 64 2×2 maxpool, /2",
    2: "3×3, 128 3×3, 128 2×2 maxpool, /2",
    3: "3×3, 256 3×3, 256 3×3, 256 3×3, 256 2×2 maxpool, /2",
    4: "3×3, 512 3×3, 512 3×3, 512 3×3, 512 2×2 maxpool, /2",
    5: "3×3, 512 3×3, 512 3×3, 512 3×3, 512 2×2 maxpool, /2",
}
WIDTHS = {"model A": (256, 512, 512), "model B": (256, 512, 512), "model C": (384, 768, 896)}
COMPLEXITY = {"VGG-19": "1.96", "model A": "1.90", "model B": "2.32", "model C": "5.30"}
DEPTH = {"VGG-19": "19", "model A": "19", "model B": "22", "model C": "22"}
INPUTS = {1: "224", 2: "112", 3: "56", 4: "28", 5: "14"}


def lines():
    yield split()
    for stage, printed in VGG_19.items():
        net = zoo("vgg-19")
        yield line("000", "VGG-19, input size", INPUTS[stage], side(net, f"conv{stage}_1"))
        yield in_words("000", "VGG-19", printed, convolutions(net, stage) + pool(net, stage))
    for model, widths in WIDTHS.items():
        net = zoo(NETS[model])
        first = f"{windows(net, 'conv1')}, /{stride(net, 'conv1')}"
        yield in_words("000", f"{model}, 224", "7×7, 96, /2", first)
        yield in_words("000", f"{model}, 112", POOL, pool(net, 1))
        for stage, width in enumerate(widths, 2):
            end = POOL if stage < 4 else SPP
            here = convolutions(net, stage) + (pool(net, stage) if stage < 4 else spp(net))
            what = f"{model}, {side(net, f'conv{stage}_1')}"
            printed = " ".join(5 * [f"3×3, {width}"] + [end])
            remark = "" if model == "model A" else SIX
            yield in_words("000", what, printed, here, remark=remark)
    for model, name in NETS.items():
        net = zoo(name)
        dense = [outputs(net, layer) for layer in of_type(net, "InnerProduct")]
        yield line("000", f"{model}, fc", "4096 4096 1000", dense)
        yield line("000", f"{model}, depth (conv+fc)", DEPTH[model], depth(net))
        printed = f"{COMPLEXITY[model]} ×10^10"
        remark = "those of the other three come out" if model == "model C" else ""
        what = f"{model}, complexity (ops.)"
        yield line("000", what, printed, multiply_adds(net), remark=remark)


def split():
    """5 x 5 into two of 3 x 3, with the channels of the deck."""
    one = weights(chain((28, 28, 64), conv(128, 5)))
    two = weights(chain((28, 28, 64), conv(128, 3), conv(128, 3)))
    return fact(
        "000",
        "5x5拆成两个3x3层可以降低计算量",
        "64·5^2·128 ⇒ 64·3^2·128 + 128·3^2·128",
        f"{one:,} ⇒ {two:,}",
        two < one,
        remark="with these channels it rises; it falls where the maps between are as few as below: "
        f"64·5^2·64 ⇒ 2·64·3^2·64 is {same(5):,} ⇒ {same(3, 3):,}",
    )


def same(*sizes):
    """Weights of convolutions from 64 maps to 64."""
    return weights(chain((28, 28, 64), *(conv(64, size) for size in sizes)))


def side(net, layer):
    return facts(net, layer, "sides")[0][0]


def stride(net, layer):
    return facts(net, layer, "stride", "stride")[0]


def windows(net, layer):
    (height, width), outputs = facts(net, layer, "kernel outputs")
    return f"{height}×{width}, {outputs}"


def convolutions(net, stage):
    names = [name for name in of_type(net, "Convolution") if name.startswith(f"conv{stage}_")]
    return "".join(windows(net, name) + " " for name in names)


def pool(net, stage):
    (height, width), step = facts(net, f"pool{stage}", pooling="kernel stride")
    return f"{height}×{width} maxpool, /{step}"


def spp(net):
    """How many bins each level has along a side."""
    levels = [name for name in of_type(net, "Pooling") if name.startswith("spp")]
    bins = [str(facts(net, name, pooling="size")[0][0]) for name in levels]
    return f"spp, {{{', '.join(bins)}}}"
