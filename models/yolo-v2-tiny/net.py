"""Tiny YOLO v2: nine convolutions, five anchors in each of 13 x 13 cells.  Redmon, Farhadi 2016."""

from caffelite.models.detection import VOC
from caffelite.models.program import Program
from caffelite.models.yolo import Sections, pictures, region

ANCHORS = [1.08, 1.19, 3.42, 4.41, 6.63, 11.38, 9.42, 5.11, 16.62, 10.52]


def net(n):
    net = Sections(n)
    for width in (16, 32, 64, 128, 256):
        net.conv(width)
        net.pool()
    net.conv(512)
    net.pool(stride=1)
    net.conv(1024)
    net.conv(1024)
    net.last(len(ANCHORS) // 2 * (5 + VOC))
    region(n, net.answer(), VOC, ANCHORS)


program = Program("YOLOv2-tiny-VOC", net, pictures("VOC0712", 416, (8, 8)), (1, 3, 416, 416))
