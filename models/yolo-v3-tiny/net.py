"""Tiny YOLO v3: thirteen convolutions, three anchors in each cell of two maps.  Redmon 2018."""

from caffelite.models.detection import COCO
from caffelite.models.program import Program
from caffelite.models.yolo import Sections, pictures, yolo_v3

ANCHORS = [10, 14, 23, 27, 37, 58, 81, 82, 135, 169, 344, 319]
SCALES = [32, 16]  # pixels of a cell
MASKS = [[3, 4, 5], [0, 1, 2]]


def net(n):
    net = Sections(n)
    for width in (16, 32, 64, 128, 256):
        net.conv(width)
        net.pool()
    net.conv(512)
    net.pool(stride=1)
    net.conv(1024)
    net.conv(256, 1)
    net.conv(512)
    net.last(3 * (5 + COCO))
    coarse = net.answer()
    net.route(-4)
    net.conv(128, 1)
    net.upsample()
    net.route(-1, 8)  # before the fifth pool
    net.conv(256)
    net.last(3 * (5 + COCO))
    yolo_v3(n, [coarse, net.answer()], COCO, ANCHORS, SCALES, MASKS)


program = Program("YOLOv3-tiny", net, pictures("coco", 416, (32, 8)), (1, 3, 416, 416))
