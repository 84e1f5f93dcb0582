"""AlexNet.

Weights of single layers are those of `alexnet-ungrouped`, since the decks count convolutions that
see all maps below them; the 60 million of the whole net are those of `alexnet`, whose two groups
were the paper's two processors. Sizes are the same in both. The listing of 001 pools first and
normalizes then, as `caffenet` does.
"""

from ._line import line, rows
from ._nets import count, depth, error, facts, size, zoo

LISTING = """
[227x227x3] INPUT | data | 227x227x3
CONV1 | conv1 | [55x55x96] 96 11x11 filters at stride 4, pad 0
MAX POOL1 | pool1 | [27x27x96] 3x3 filters at stride 2
NORM1 | norm1 | [27x27x96]
CONV2 | conv2 | [27x27x256] 256 5x5 filters at stride 1, pad 2
MAX POOL2 | pool2 | [13x13x256] 3x3 filters at stride 2
NORM2 | norm2 | [13x13x256]
CONV3 | conv3 | [13x13x384] 384 3x3 filters at stride 1, pad 1
CONV4 | conv4 | [13x13x384] 384 3x3 filters at stride 1, pad 1
CONV5 | conv5 | [13x13x256] 256 3x3 filters at stride 1, pad 1
MAX POOL3 | pool5 | [6x6x256] 3x3 filters at stride 2
FC6 | fc6 | [4096]
FC7 | fc7 | [4096]
FC8 | fc8 | [1000]
"""
DRAWN = """
drawn: FC | fc8 | FC 1000
FC | fc7 | FC 4096 / ReLU
FC | fc6 | FC 4096 / ReLU
Max Pool | pool5 | 3x3s2
Conv | conv5 | 3x3s1, 256 / ReLU
Conv | conv4 | 3x3s1, 384 / ReLU
Conv | conv3 | 3x3s1, 384 / ReLU
Max Pool | pool2 | 3x3s2
Conv | conv2 | 5x5s1, 256 / ReLU
Max Pool | pool1 | 3x3s2
Conv | conv1 | 11x11s4, 96 / ReLU
"""
FEATURE_MAPS = """
table: Input Image | data | 227x227x3
1 Convolution | conv1 | 96; 55 x 55 x 96; 11x11; 4
Max Pooling | pool1 | 96; 27 x 27 x 96; 3x3; 2
2 Convolution | conv2 | 256; 27 x 27 x 256; 5x5; 1
Max Pooling | pool2 | 256; 13 x 13 x 256; 3x3; 2
3 Convolution | conv3 | 384; 13 x 13 x 384; 3x3; 1
4 Convolution | conv4 | 384; 13 x 13 x 384; 3x3; 1
5 Convolution | conv5 | 256; 13 x 13 x 256; 3x3; 1
Max Pooling | pool5 | 256; 6 x 6 x 256; 3x3; 2
6 FC | fc6 | 9216 | that is what it sees; the table counts one dense layer too many
7 FC | fc7 | 4096
8 FC | fc8 | 4096 | layer 8 has the 1,000 scores
Output FC | fc8 | 1000
"""
LEARNED = """
第1个卷积层(C1) | conv1 | 34,944
第2个卷积层(C2) | conv2 | 614,656
第3个卷积层(C3) | conv3 | 886,176 | 3 × 3 × 256 × 384 weights and 384 biases
第4个卷积层(C4) | conv4 | 1,327,488
第5个卷积层(C5) | conv5 | 885,952 | 3 × 3 × 384 × 256 weights and 256 biases
第1个全连接层(FC6) | fc6 | 37,752,832
第2个全连接层(FC7) | fc7 | 16,781,312
输出层 (Output layer) | fc8 | 4,097,000
"""
CHANNELS = """
table: 1 Conv | conv1 | 224 × 224; 11×11; 3; 96; 4 | 55 × 55 comes of 227, or of a pad of 2
ReLU | relu1 | 55 × 55; 96; 96
LRN | norm1 | 55 × 55; 96; 96
MaxPool | pool1 | 55 × 55; 3 × 3; 96; 96; 2
2 Conv | conv2 | 27 × 27; 5 × 5; 96; 256; 1
ReLU | relu2 | 27 × 27; 256; 256
LRN | norm2 | 27 × 27; 256; 256
MaxPool | pool2 | 27 × 27; 3 × 3; 256; 256; 2
3 Conv | conv3 | 13 × 13; 3×3; 256; 384; 1
ReLU | relu3 | 13 × 13; 384; 384
4 Conv | conv4 | 13 × 13; 3 × 3; 384; 384; 1
ReLU | relu4 | 13 × 13; 384; 384
5 Conv | conv5 | 13 × 13; 3 × 3; 384; 256; 1
ReLU | relu5 | 13 × 13; 256; 256
MaxPool | pool5 | 13 × 13; 3 × 3; 256; 256; 2
6 FC | fc6 | 9216; 4096
ReLU | relu6 | 4096; 4096
7 FC | fc7 | 4096; 4096
ReLU | relu7 | 4096; 4096
8 FC | fc8 | 4096; 1000
softmax | prob | 1000; 1000
"""
NOTES = """
输入是 | data | 227x227x3
第一层 | conv1 | 96 个 11x11 的 filters, stride=4, 所以得到 55x55x96
然后接一个 | pool1 | 3x3 的 max pooling, stride=2, 所以得到 27x27x96
same conv | conv2 | 256 个 5x5 的卷积 … stride=1, padding=2, 得到 27x27x256
然后再做一个 | pool2 | 3x3, stride=2 的 max pooling, 得到 13x13x256
same conv | conv3 | 384 个 3x3 的卷积, 做 same conv, 得到 13x13x384
same conv | conv4 | 384 个 3x3 的卷积, 做 same conv, 同样得到 13x13x384
same conv | conv5 | 256 个 3x3 的卷积, 做 same conv, 同样得到 13x13x256
再接 | pool5 | 3x3, stride=2 的 max pooling, 得到 6x6x256
fc | fc6 | 4096 维的 fc
fc | fc7 | 4096 维的 fc
softmax | fc8 | 1000 分类的 softmax
"""


def lines():
    grouped, ungrouped, caffenet = map(zoo, ("alexnet", "alexnet-ungrouped", "caffenet"))
    yield line("001", "AlexNet-8", "8", depth(grouped))
    for what, layer, printed in rows(LISTING):
        found = facts(
            caffenet, layer, "size outputs kernel stride pad", "size kernel stride", "size"
        )
        yield line("001", what, printed, found)
    for what, layer, printed in rows(DRAWN):
        found = facts(grouped, layer, "kernel stride outputs", "kernel stride", "outputs")
        yield line("001", what, printed, found)
    for what, layer, printed, *remark in rows(FEATURE_MAPS):
        words = "outputs size kernel stride"
        found = facts(grouped, layer, words, words, "size")
        yield line("001", what, printed, found, remark="".join(remark))
    for what, layer, printed, *remark in rows(LEARNED):
        yield line("001", what, printed, count(ungrouped, layer), remark="".join(remark))
    yield from totals(grouped, ungrouped)
    for what, layer, printed, *remark in rows(CHANNELS):
        words = "sides kernel inputs outputs stride"
        found = facts(grouped, layer, words, words, "sides inputs outputs")
        yield line("002", what, printed, found, remark="".join(remark))
    for what, layer, printed in rows(NOTES):
        words = "kernel stride size"
        by_type = {"conv1": "outputs kernel stride size", "conv2": "outputs kernel stride pad size"}
        found = facts(grouped, layer, by_type.get(layer, "outputs kernel size"), words, "size")
        yield line("004", what, printed, found)
    yield same_conv(grouped)
    fc6_sees = facts(grouped, "fc6", other="inputs")
    yield line("004", "flatten 成", "6 × 6 × 256 = 9216", size(grouped, "pool5"), fc6_sees)
    both = 2 * [count(grouped)]
    yield line("004", "而 alexnet 有", "60m 即 6kw 的参数", both)
    yield from errors()


def same_conv(net):
    """The sum by which 004 finds the pad of the second convolution."""
    (side, _), (kernel, _), step = facts(net, "conv2", "sides kernel stride")
    slack = side - kernel
    sides = side, 2, kernel, 1, side, slack, 2, side - step
    remark = f"the map is {side} × {side}"
    return line("004", "same conv", "(25+2p-5)/s+1=25 => (20+2p)/s=24", sides, remark=remark)


def totals(grouped, ungrouped):
    every, all_seen = count(grouped), count(ungrouped)
    listed = sum(int(printed.replace(",", "")) for _, _, printed, *_ in rows(LEARNED))
    biases = grouped.params["fc8"][1].count
    yield line("001", "整个网络包含", "大约6000万个参数", every)
    yield line(
        "001",
        "网络的总参数数量",
        "大约是60,964,224个",
        all_seen,
        remark=f"the deck's own list adds up to {listed:,}; {every - biases:,} is `alexnet`, whose "
        f"convolutions 2, 4 and 5 have two groups, without the {biases:,} biases of its end",
    )
    yield line("001", "AlexNet:", "60M", every)
    yield line("000", "AlexNet", "60 Million", every)
    yield line(
        "000",
        "AlexNet",
        "(230 Megabytes)",
        every * 4 / 2**20,
        remark="four bytes each, in megabytes of 2^20",
    )


def errors():
    """In percent; those here are the cards'."""
    of_2010 = "the paper's is on the test set of 2010, with ten crops; the card's on 2012, with one"
    yield line("002", "top1", "37.5%", error("alexnet", 1), remark=of_2010)
    yield line("002", "top5", "17.0%", error("alexnet", 5), remark=of_2010)
    of_seven = "of seven nets averaged; the card's of one net, one crop"
    yield line("001", "top 5 error of", "15.3%", error("alexnet", 5), remark=of_seven)
    of_one = "the paper's of one net, ten crops; the card's of Caffe's release, one crop"
    yield line("000", "AlexNet, Top 1", "40.7%", error("alexnet", 1), remark=of_one)
