"""YOLO v3: Darknet-53, three anchors in each cell of three maps.  Redmon, Farhadi 2018."""

from caffelite.models.detection import COCO
from caffelite.models.program import Program
from caffelite.models.yolo import Sections, pictures, yolo_v3

ANCHORS = [10, 13, 16, 30, 33, 23, 30, 61, 62, 45, 59, 119, 116, 90, 156, 198, 373, 326]
SCALES = [32, 16, 8]  # pixels of a cell
MASKS = [[6, 7, 8], [3, 4, 5], [0, 1, 2]]
STAGES = {64: 1, 128: 2, 256: 8, 512: 8, 1024: 4}  # width: residual units
EIGHTH, SIXTEENTH = 36, 61  # the sections that end the third and fourth stage


def net(n):
    net, tops = Sections(n), []
    net.conv(32)
    for width, units in STAGES.items():
        net.conv(width, stride=2)
        for _ in range(units):
            net.residual(width // 2, width)
    for narrow, finer in ((512, SIXTEENTH), (256, EIGHTH), (128, None)):
        for _ in range(3):
            net.conv(narrow, 1)
            net.conv(2 * narrow)
        net.last(3 * (5 + COCO))
        tops.append(net.answer())
        if finer:
            net.route(-4)
            net.conv(narrow // 2, 1)
            net.upsample()
            net.route(-1, finer)
    yolo_v3(n, tops, COCO, ANCHORS, SCALES, MASKS)


program = Program("YOLOv3", net, pictures("coco", 416, (8, 8)), (1, 3, 416, 416))
