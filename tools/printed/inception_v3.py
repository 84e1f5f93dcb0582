"""Inception-v3.

The table of 002 is the paper's. `inception-v3-table` has it; `inception-v3` is what was released.
The sizes are of what a row sees.
"""

from ._line import line, rows
from ._nets import depth, error, facts, of_type, zoo

TABLE = """
conv | conv1_3x3_s2 | conv1_3x3_s2 | 3×3/2; 299×299×3
conv | conv2_3x3_s1 | conv2_3x3_s1 | 3×3/1; 149×149×32
conv padded | conv3_3x3_s1 | conv3_3x3_s1 | 3×3/1; 147×147×32
pool | pool1_3x3_s2 | pool1_3x3_s2 | 3×3/2; 147×147×64
conv | conv4_3x3_s1 | conv4_3x3_reduce | 3×3/1; 73×73×64
conv | conv5_3x3_s2 | conv4_3x3 | 3×3/2; 71×71×80
conv | conv6_3x3_s1 | pool2_3x3_s2 | 3×3/1; 35 × 35 × 192
"""
REMARKS = {
    "conv4_3x3_reduce": "released: 1 × 1",
    "conv4_3x3": "released: stride 1, on 73 × 73",
    "pool2_3x3_s2": "released: a pool, of stride 2",
}
MODULES = """
3×Inception, as in figure 5 | inception_a1_1x1 | a | 3; 35×35×288
5×Inception, as in figure 6 | inception_b1_1x1_2 | b | 5; 17×17×768
2×Inception, as in figure 7 | inception_c1_1x1_2 | c | 2; 8×8×1280
"""
END = """
pool | pool_8x8_s1 | 8 × 8; 8 × 8 × 2048
linear | classifier | 1 × 1 × 2048
softmax | prob | 1000
"""


def lines():
    table, released = zoo("inception-v3-table"), zoo("inception-v3")
    for net, name in ((table, "the table's"), (released, "released")):
        yield from stem(net, name)
        yield from modules(net, name)
        for what, layer, printed in rows(END):
            seen = facts(net, layer, pooling="kernel sees", other="sees")
            yield line("002", f"{name}: {what}", printed, seen)
    yield from depths(table, released)
    yield from errors()


def stem(net, name):
    for what, layer, released, printed in rows(TABLE):
        layer = layer if name == "the table's" else released
        found = facts(net, layer, "kernel stride sees", "kernel stride sees")
        remark = REMARKS.get(layer, "") if name == "released" else ""
        yield line("002", f"{name}: {what}", printed, found, remark=remark)


def modules(net, name):
    """Those of a grid, and the one that halves it: the table counts it along."""
    for what, first, letter, printed in rows(MODULES):
        starts = (f"inception_{letter}", f"reduction_{letter}")
        there = [module for module in of_type(net, "Concat") if module.startswith(starts)]
        seen = facts(net, first, "sees")
        released_a = name == "released" and letter == "a"
        remark = "released: four with the one that halves the grid; the first sees 192 maps"
        remark = remark if released_a else ""
        yield line("002", f"{name}: {what}", printed, len(there), seen, remark=remark)


def depths(table, released):
    """What the paper's 42 counts is not said; this sum comes to it."""
    stem = sum(name.startswith("conv") for name in of_type(table, "Convolution"))
    deep = {letter: depth(table, f"inception_{letter}1") for letter in "abc"}
    halving = {letter: depth(table, f"reduction_{letter}") for letter in "ab"}
    counted = stem + 3 * deep["a"] + 4 * deep["b"] + 2 * deep["c"] + 1
    yield line(
        "002",
        "Inception-v3, 网络层数",
        "42",
        depth(released),
        remark=f"the released net's longest path; the table's has {depth(table)}. What the 42 "
        f"counts is not said: {stem} convolutions + 3 × {deep['a']} + 4 × {deep['b']} + 2 × "
        f"{deep['c']} in modules + 1 dense layer are {counted}, without the {halving['a']} and "
        f"{halving['b']} of modules that halve grids",
    )


ERRORS = """
BN-Inception | inception-bn | 25.2% | 7.8%
Inception-v3 | inception-v3 | 21.2% | 5.6%
Inception-ResNet-v1 | inception-resnet-v1 | 21.3% | 5.5%
Inception-v4 | inception-v4 | 20.0% | 5.0%
Inception-ResNet-v2 | inception-resnet-v2 | 19.9% | 4.9%
"""
BEST = """
BN-Inception | inception-bn | 4.82%
Inception-v3 | inception-v3 | 3.5%
Inception-v4 | inception-v4 | 3.08%
"""


def errors():
    """In percent; those here are the cards'."""
    for what, name, top1, top5 in rows(ERRORS):
        yield line("000", f"{what}, Top-1 Error", top1, error(name, 1))
        yield line("000", f"{what}, Top-5 Error", top5, error(name, 5))
    for what, name, top5 in rows(BEST):
        several = "of several nets and crops averaged; the card's of one net, one crop"
        yield line("002", f"{what}, Top5错误率", top5, error(name, 5), remark=several)
