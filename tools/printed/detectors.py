"""Detectors.

What they take of nets for classes, how their boxes are scored, and of how many numbers and boxes
their answers are. [Detection in numbers](detection/README.md) says what these figures are.
"""

import numpy as np

import caffelite
from caffelite.measures._average_precision import precision_recall, voc2012

from ._line import line
from ._nets import MODELS, WEIGHING, of_type, outputs, size, zoo

SCORED = """
3 0.92 1 | 7 0.78 1 | 11 0.69 0 | 20 0.52 1 | 9 0.47 0 | 17 0.45 0 | 12 0.43 0
1 0.35 0 | 14 0.35 1 | 19 0.32 0 | 13 0.26 0 | 5 0.24 1 | 18 0.16 1 | 2 0.15 0
15 0.11 0 | 6 0.10 0 | 10 0.09 1 | 16 0.07 0 | 4 0.03 0 | 8 0.01 0
"""
RECALL = "1 2 2 3 3 3 3 3 4 4 4 5 6 6 6 6 7 7 7 7"
BEST = {1: "1", 2: "1", 3: "3/4", 4: "6/13", 5: "6/13", 6: "6/13", 7: "7/17"}
AVERAGE = "(1+1+3/4+6/13+6/13+6/13+7/17)/25=0.1819"
OBJECTS = 25


def lines():
    caffenet = zoo("caffenet")
    yield line("000", "R-CNN: resize成", "227x227", size(caffenet, "data")[:2])
    convolutions, dense = (len(of_type(caffenet, type_name)) for type_name in WEIGHING)
    yield line("002", "再用 AlexNet 提取图像特征", "5conv+2FC", convolutions, dense - 1)
    maps = outputs(zoo("zfnet"), "conv5"), outputs(zoo("vgg-16"), "conv5_3")
    yield line("002", "Faster R-CNN: 每一个点对应", "256维; 512维", maps)
    yield from scored()
    yield from grid()
    yield from default_boxes()


def scored():
    """The table of 20 boxes of class A, of which 7 are right."""
    boxes = sorted(map(str.split, SCORED.replace("|", "\n").strip().splitlines()), key=number)
    scores, right = (np.array([float(box[i]) for box in boxes]) for i in (1, 2))
    precision, recall = precision_recall(scores, right, 1 - right, OBJECTS)
    order = np.argsort(-scores, kind="stable")
    ranks = np.arange(1, len(boxes) + 1)
    hits = np.rint(recall * OBJECTS).astype(int).tolist()
    told = zip(ranks.tolist(), RECALL.split(), order, hits, strict=True)
    for rank, printed, box, found in told:
        assert precision[rank - 1] == found / rank
        what = f"编号 {boxes[box][0]}: recall, precision"
        yield line("002", what, f"{printed}/25; {printed}/{rank}", found, OBJECTS, found, rank)
    for threshold, printed in ((0.5, "precision=3/4, recall=3/25"), (0.2, "5/12, recall=5/25")):
        rank = int((scores > threshold).sum())
        found = hits[rank - 1]
        yield line("002", f"score>{threshold}", printed, found, rank, found, OBJECTS)
    best = [fraction(precision[i:], hits[i:], ranks[i:]) for i in map(hits.index, BEST)]
    for (count, printed), found in zip(BEST.items(), best, strict=True):
        yield line("002", f"recall={count}/25: maxPrec", printed, found)
    yield line("002", "AP(类A)", AVERAGE, best, OBJECTS, voc2012(precision, recall))


def number(box):
    return int(box[0])


def fraction(precision, hits, ranks):
    """The best precision: what is right of how many, and only the first where it is all of them."""
    at = precision.argmax()
    return [1] if precision[at] == 1 else [hits[at], int(ranks[at])]


def grid():
    """YOLO's S x S x (B x 5 + C)."""
    net = example("yolo")
    height, width, depth = size(net, "cells")
    boxes, classes = 2, 20
    yield line("002", "YOLO: 最终输出tensor维度为", "7×7×30", height, width, depth)
    yield line("002", "其中", "30=B*5+C", depth, (depth - classes) // boxes)
    yield line("002", "每张图像只预测", "98个bbox", height * width * boxes)


def default_boxes():
    """SSD's six boxes a place: two squares, and four of the ratios 2, 3, 1/2, 1/3."""
    net = example("default-boxes")
    net.forward()
    printed, published = [], []
    for side in (38, 19, 10, 5, 3, 1):
        printed.append(net.blobs[f"printed{side}"].shape[2] // 4 // side**2)
        published.append(net.blobs[f"ssd{side}"].shape[2] // 4 // side**2)
    for count in dict.fromkeys(printed):
        remark = f"SSD300, as published, has {', '.join(map(str, published))} on its maps"
        yield line("002", "SSD: 每个点对应", "6个anchor boxes", count, remark=remark)
    scales = [width(net.blobs[f"printed{side}"]) for side in (38, 1)]
    yield line("002", "S_min, S_max", "0.2, 0.9", *scales)


def width(priors):
    """That of the first box, as a part of the picture's."""
    left, _, right, _ = priors.data[0, 0, :4].tolist()
    return round(right - left, 4)


def example(name):
    """A net of models/course/detection."""
    path = MODELS / "course" / "detection" / f"{name}.prototxt"
    return caffelite.Net(str(path), caffelite.TEST)
