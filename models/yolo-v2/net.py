"""YOLO v2: Darknet-19, five anchors in each of 13 x 13 cells.  Redmon, Farhadi 2016."""

from caffelite.models.detection import VOC
from caffelite.models.program import Program
from caffelite.models.yolo import Sections, pictures, region

ANCHORS = [1.3221, 1.73145, 3.19275, 4.00944, 5.05587, 8.09892, 9.47112, 4.84053, 11.2364, 10.0071]


def net(n):
    net = Sections(n)
    for widths in ([32], [64], [128, 64, 128], [256, 128, 256]):
        net.convs(*widths)
        net.pool()
    net.convs(512, 256, 512, 256, 512)
    net.pool()
    net.convs(1024, 512, 1024, 512, 1024)
    net.conv(1024)
    net.conv(1024)
    net.route(-9)  # the maps of twice the size, before the last pool
    net.conv(64, 1)
    net.reorg()
    net.route(-1, -4)
    net.conv(1024)
    net.last(len(ANCHORS) // 2 * (5 + VOC))
    region(n, net.answer(), VOC, ANCHORS)


program = Program("YOLOv2-VOC", net, pictures("VOC0712", 416, (8, 8)), (1, 3, 416, 416))
