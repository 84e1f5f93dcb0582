"""GoogLeNet.

K is 1,024 in the table's column of params, where sums come out so; biases are left out. What
differs there is the paper's: its figures do not follow from the widths beside them.
"""

import caffelite
from caffelite.proto.caffe_pb2 import TRAIN

from ..benchmark_nets import in_memory
from ._line import UNITS, fact, line, rows
from ._nets import (
    count,
    depth,
    error,
    facts,
    multiply_adds,
    nodes,
    of_type,
    outputs,
    size,
    weighs,
    weights,
    zoo,
)

TABLE = """
convolution | conv1/7x7_s2 | 7×7/2; 112×112×64; 1; 2.7K; 34M
max pool | pool1/3x3_s2 | 3×3/2; 56×56×64; 0
convolution | conv2/3x3 | 3×3/1; 56×56×192; 2; 64; 192; 112K; 360M
max pool | pool2/3x3_s2 | 3×3/2; 28×28×192; 0
inception (3a) | inception_3a | 28×28×256; 2; 64; 96; 128; 16; 32; 32; 159K; 128M
inception (3b) | inception_3b | 28×28×480; 2; 128; 128; 192; 32; 96; 64; 380K; 304M
max pool | pool3/3x3_s2 | 3×3/2; 14×14×480; 0
inception (4a) | inception_4a | 14×14×512; 2; 192; 96; 208; 16; 48; 64; 364K; 73M
inception (4b) | inception_4b | 14×14×512; 2; 160; 112; 224; 24; 64; 64; 437K; 88M
inception (4c) | inception_4c | 14×14×512; 2; 128; 128; 256; 24; 64; 64; 463K; 100M
inception (4d) | inception_4d | 14×14×528; 2; 112; 144; 288; 32; 64; 64; 580K; 119M
inception (4e) | inception_4e | 14×14×832; 2; 256; 160; 320; 32; 128; 128; 840K; 170M
max pool | pool4/3x3_s2 | 3×3/2; 7×7×832; 0
inception (5a) | inception_5a | 7×7×832; 2; 256; 160; 320; 32; 128; 128; 1072K; 54M
inception (5b) | inception_5b | 7×7×1024; 2; 384; 192; 384; 48; 128; 128; 1388K; 71M
avg pool | pool5/7x7_s1 | 7×7/1; 1×1×1024; 0
dropout | pool5/drop_7x7_s1 | (40%); 1×1×1024; 0
linear | loss3/classifier | 1000; 1; 1000K; 1M
softmax | prob | 1000; 0
"""
REMARKS = {"conv1/7x7_s2": "7 × 7 × 3 × 64 weights, and 112 × 112 times as many multiply-adds"}
REMARKS |= {f"inception_{name}": "weights" for name in ("4a", "4c", "4d", "4e", "5b")}
REMARKS |= {f"inception_{name}": "weights, by 1 K" for name in ("3b", "4b")}
REMARKS["inception_5a"] = "weights and multiply-adds"

NOTES = """
64 个 1 × 1 之后 | inception_3a/1x1 | 得到 28 × 28 × 64
128 个 3 × 3 | inception_3a/3x3 | 得到 28 × 28 × 128
32 个 5 × 5 | inception_3a/5x5 | 28 × 28 × 32
3 × 3, stride=1, same | inception_3a/pool | 得到 28 × 28 × 192
加多一个 1 × 1 | inception_3a/pool_proj | 得到一个 28 × 28 × 32
concat 到一起 | inception_3a/output | = 28 × 28 × 256
5 × 5 拆成了 1 × 1 和 5 × 5 | inception_3a/5x5_reduce | 28 × 28 × 16
1 × 1 中间是 96 个 channel | inception_3a/3x3_reduce | 28 × 28 × 96
"""


def lines():
    net = zoo("googlenet")
    for what, layer, printed in rows(TABLE):
        units, remark = {**UNITS, "K": 1024}, REMARKS.get(layer, "")
        yield line("001, 002", what, printed, row(net, layer), units=units, remark=remark)
    yield from counts(net)
    yield from auxiliary()
    yield from module(net)
    yield from errors()


def row(net, layer):
    """What the table says of a layer, or of the module whose layers' names start so."""
    if layer.startswith("inception"):
        ends = ("1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5", "pool_proj")
        widths = [outputs(net, f"{layer}/{end}") for end in ends]
        return size(net, f"{layer}/output"), depth(net, f"{layer}/"), widths, costs(net, layer)
    found = facts(net, layer, "kernel stride size", "kernel stride size", "size")
    if layer == "conv2/3x3":
        widths = outputs(net, "conv2/3x3_reduce"), outputs(net, layer)
        return found, depth(net, "conv2/"), widths, costs(net, "conv2/")
    (node,) = nodes(net, layer)
    drops = [dropped(node)] if node.layer.type == "Dropout" else []
    return drops, found, depth(net, layer), costs(net, layer) if weighs(node) else ()


def dropped(node):
    """In percent."""
    return round(100 * node.layer.options.dropout_ratio)


def costs(net, start):
    return weights(net, start), multiply_adds(net, start)


def counts(net):
    every, dense = count(net), count(net, "loss3/classifier")
    without = f"{every - dense:,} without the dense layer; what the 4 counts is not said"
    yield line("001", "2014 ILSVRC winner", "22层", depth(net))
    yield line("002", "GoogLeNet, 网络层数", "22", depth(net))
    yield line("000", "2014-GoogLeNet", "24层网络", depth(net), remark="on the longest path")
    yield line("001", "参数: GoogLeNet", "4M", every, remark=without)
    modules = of_type(net, "Concat")
    yield line("001", "GoogLeNet", "9 个 Inception 块", len(modules))
    sides = [node.shapes[1][0][2] for node in net.nodes if len(node.shapes[1][0]) == 4]
    halved = len({side for side in sides if side > 1}) - 1
    yield line("001", "GoogLeNet", "5 个阶段", halved, remark="how often sides are halved")
    eight, twenty = 8 * multiply_adds(net), 20 * multiply_adds(zoo("vgg-16"))
    yield fact(
        "000",
        "ICCV2015: 计算量显著小",
        "8个 GoogLeNet vs. 20 VGGNet",
        f"{eight:,} multiply-adds against {twenty:,}, if those are VGG-16",
        eight < twenty,
    )


def auxiliary():
    """Behind the first and second of two modules; the deck's 4 × 4 is how pools round here."""
    net = caffelite.Net(in_memory("googlenet", TRAIN, 1), caffelite.TRAIN)
    for name, loss, printed in (("4a", "loss1", "4×4×512"), ("4d", "loss2", "4×4×528")):
        yield line("001", f"对于({name})阶段产生", printed, size(net, f"{loss}/ave_pool"))
    found = facts(net, "loss1/ave_pool", pooling="kernel stride")
    yield line("001", "平均池化层", "5×5的过滤器尺寸和步长为3", found)
    found = facts(net, "loss1/conv", "kernel outputs")
    yield line("001", "1×1卷积层", "1×1卷积层:使用128个过滤器", found)
    yield line("001", "全连接层", "1024个单元", outputs(net, "loss1/fc"))
    (node,) = nodes(net, "loss1/drop_fc")
    yield line("001", "丢弃层 (Dropout Layer)", "以70%的概率丢弃输出", dropped(node))
    yield line("001", "线性层", "1000个类别", outputs(net, "loss1/classifier"))


def module(net):
    """The first module, as 004 goes through it."""
    for what, layer, printed in rows(NOTES):
        yield line("004", what, printed, size(net, layer))
    ends = ("1x1", "3x3", "5x5", "pool_proj")
    widths = [outputs(net, f"inception_3a/{end}") for end in ends]
    yield line("004", "28 × 28 × 256", "(64+128+32+32)", widths)


def errors():
    """In percent; those here are the card's."""
    of_seven = "of seven nets and 144 crops; the card's of Caffe's release, one crop"
    yield line("001", "错误率", "6.7%", error("googlenet", 5), remark=of_seven)
    yield line("002", "GoogLeNet, Top5错误率", "6.67%", error("googlenet", 5), remark=of_seven)
