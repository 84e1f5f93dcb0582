"""VGG.

Decks print the configurations A to E twice; a row here has the convolutions of those that have it.
"""

from ._line import line, rows
from ._nets import count, depth, error, facts, of_type, outputs, size, zoo

CONFIGURATIONS = ["vgg-11", "vgg-11-lrn", "vgg-13", "vgg-16-c", "vgg-16", "vgg-19"]
TABLE = """
conv1_1 | conv3-64 conv3-64 conv3-64 conv3-64 conv3-64 conv3-64
conv1_2 | conv3-64 conv3-64 conv3-64 conv3-64
conv2_1 | conv3-128 conv3-128 conv3-128 conv3-128 conv3-128 conv3-128
conv2_2 | conv3-128 conv3-128 conv3-128 conv3-128
conv3_1 | conv3-256 conv3-256 conv3-256 conv3-256 conv3-256 conv3-256
conv3_2 | conv3-256 conv3-256 conv3-256 conv3-256 conv3-256 conv3-256
conv3_3 | conv1-256 conv3-256 conv3-256
conv3_4 | conv3-256
conv4_1 | conv3-512 conv3-512 conv3-512 conv3-512 conv3-512 conv3-512
conv4_2 | conv3-512 conv3-512 conv3-512 conv3-512 conv3-512 conv3-512
conv4_3 | conv1-512 conv3-512 conv3-512
conv4_4 | conv3-512
conv5_1 | conv3-512 conv3-512 conv3-512 conv3-512 conv3-512 conv3-512
conv5_2 | conv3-512 conv3-512 conv3-512 conv3-512 conv3-512 conv3-512
conv5_3 | conv1-512 conv3-512 conv3-512
conv5_4 | conv3-512
"""
SIZES = """
input | input | 224 × 224 × 3
maxpool | pool1 | 112×112×64
maxpool | pool2 | 56 × 56 × 128
maxpool | pool3 | 28×28×256
maxpool | pool4 | 14×14×512
maxpool | pool5 | 7 × 7 × 512
"""
NOTES = """
输入是 | input | 224 × 224 × 3
两个 CONV 64 层 | conv1_2 | 224 × 224 × 64
POOL | pool1 | 112 × 112 × 64
两个 CONV 128 层 | conv2_2 | 112 × 112 × 128
POOL | pool2 | 56 × 56 × 128
3 个 CONV 256 | conv3_3 | 56 × 56 × 256
POOL | pool3 | 28 × 28 × 256
3 个 CONV 512 | conv4_3 | 28 × 28 × 512
POOL | pool4 | 14 × 14 × 512
3 个 CONV 512 | conv5_3 | 14 × 14 × 512
POOL | pool5 | 7 × 7 × 512
2 个 4096 的 FC | fc6 | 4096
1000 的 softmax | fc8 | 1000
"""
ERRORS = """
A | vgg-11 | 29.6 | 10.4
A-LRN | vgg-11-lrn | 29.7 | 10.5
B | vgg-13 | 28.7 | 9.9
C | vgg-16-c | 28.1 | 9.4
E | vgg-19 | 27.3 | 9.0
"""


def lines():
    nets = [zoo(name) for name in CONFIGURATIONS]
    vgg16 = zoo("vgg-16")
    depths = [depth(net) for net in nets]
    yield line("001, 002", "weight layers", "11 11 13 16 16 19", depths)
    for layer, printed in rows(TABLE):
        found = [
            (facts(net, layer, "kernel")[0][0], outputs(net, layer))
            for net in nets
            if layer in net.params
        ]
        yield line("001, 002", layer, printed, found)
    for layer, printed in (("fc6", "FC-4096"), ("fc7", "FC-4096"), ("fc8", "FC-1000")):
        yield line("001, 002", layer, printed, outputs(vgg16, layer))
    for what, layer, printed in rows(SIZES):
        yield line("002", what, printed, size(vgg16, layer))
    yield from windows(vgg16)
    for what, layer, printed in rows(NOTES):
        yield line("004", what, printed, size(vgg16, layer))
    yield from totals(vgg16)
    yield from errors()


def windows(net):
    """All windows of VGG-16 are alike."""
    (convs,) = {tuple(facts(net, name, "kernel stride")) for name in of_type(net, "Convolution")}
    (pools,) = {
        tuple(facts(net, name, pooling="kernel stride pad")) for name in of_type(net, "Pooling")
    }
    yield line("000", "卷积核大小", "3x3", convs[0])
    yield line("000", "卷积采样间隔", "1x1", convs[1], convs[1])
    yield line("000", "Max Pooling间隔", "2x2", pools[1], pools[1])
    yield line("002", "Conv", "filter=3*3, stride=1", convs)
    yield line("002", "Maxpool", "filter=2*2, stride=2, pad=0", pools)
    yield line("004", "CONV", "3 × 3 的 filter, stride=1", convs)
    yield line("004", "MAX-POOL", "2 × 2, stride=2", pools[:2])


def totals(net):
    weighing = of_type(net, "Convolution", "InnerProduct")
    stages = [sum(name.startswith(f"conv{stage}_") for name in weighing) for stage in range(1, 6)]
    dense = [1 for name in weighing if name.startswith("fc")]
    yield line("004", "不把 POOL 当做 layer", "2+2+3+3+3+1+1+1", stages, dense)
    widths = [outputs(net, f"conv{stage}_1") for stage in range(1, 5)]
    yield line("004", "channels 则是逐层翻倍", "(64-128-256-512)", widths)
    yield line("003", "Display only eight of the", "64/128/256/512 feature maps", widths)
    every = count(net)
    yield line("004", "参数总量有", "138M，即 13.8kw，即 1.38 亿", 3 * [every])


def errors():
    """In percent; those here are the cards'."""
    for what, name, top1, top5 in rows(ERRORS):
        yield line("002", f"Table 3: {what}, S 256", top1, error(name, 1))
        yield line("002", f"Table 3: {what}, S 256", top5, error(name, 5))
    yield line("002", "Table 3: D, S [256;512]", "8.1", error("vgg-16", 5))
    seven = "of seven nets averaged; the card's of one, at one scale"
    yield line("002", "VGG, top5", "7.5%", error("vgg-16", 5), remark=seven)
