import math

import numpy as np

from ..base import register
from . import _yolo as yolo
from . import _yolo_v1 as v1
from ._detections import Candidates, Detections


@register("YoloDetectionOutput")
class YoloDetectionOutput(Detections):
    """y = the boxes of YOLO v2, or of the first one, that others do not suppress, best first.

    The score of a box is s(o) p for the class of the largest p of softmax; below
    `confidence_threshold` it is left out. One that a box of a higher score overlaps by
    `nms_threshold` or more goes, whatever the classes, and, as in MobileNet-YOLO, whatever the
    picture of the batch: all rows say picture 0. Without any box there is a row of -1 for each
    picture.

    With `layout: PLANES` or `CELLS`, x is what the first YOLO gives: p of each class for each of
    S^2 cells, o and a box for each of num_box boxes a cell. A box is there once for each class
    whose o p is at least `confidence_threshold`. PLANES has a map for each number, as DetectionLoss
    reads them; CELLS has p of all cells, o of all, then the boxes of all, as darknet's last layer.

    Bottom
        0: x, (N, num_box (5 + num_classes), H, W), as RegionLoss takes it; in the first YOLO's
           layouts N times S^2 (num_classes + 5 num_box) numbers
        1: another map, of other size
    Top
        0: y, (1, 1, rows, 7): picture, label (class + 1), score, xmin, ymin, xmax, ymax
    Options (yolo_detection_output_param)
        num_classes: must be given
        num_box: boxes of a cell [5]
        biases: sizes of anchors, w and h in cells, one after the other
        confidence_threshold, nms_threshold: see there [0.01, 0.45]
        per_image: pictures are suppressed by themselves, and rows say their number, picture by
            picture [false]
        per_class: boxes suppress those of their class only [false]
        layout: ANCHORS, PLANES or CELLS [ANCHORS]
        side: S, for the first YOLO; else H and W are the map's [13]
        sqrt, constriant: as in DetectionLoss, for the first YOLO [true, false]
    Source
        Redmon, Farhadi 2016, arXiv:1612.08242 (YOLO v2)
    """

    options_field = "yolo_detection_output_param"
    bottoms = (1, 2)
    ignored = {"label_map_file": "labels are numbers here; caffelite detect takes --labelmap"}

    def moot(self):
        found = super().moot()
        if self.options.layout == self.options.ANCHORS:
            for name in ("side", "sqrt", "constriant"):
                found[f"yolo_detection_output_param.{name}"] = "it is of the first YOLO's layouts"
        else:
            found["yolo_detection_output_param.biases"] = "the first YOLO has no anchors"
        return found

    def box_code(self):
        options = self.options
        return yolo.anchor_code(options) if options.layout == options.ANCHORS else v1.code(options)

    def setup(self, bottom_shapes):
        options = self.options
        if not options.HasField("num_classes") or options.num_classes < 1:
            raise self.error("num_classes is missing, expected the number of classes")
        if options.coords != yolo.COORDS:
            raise self.error(f"coords: {options.coords}, expected {yolo.COORDS}: x, y, w, h")
        if options.layout == options.ANCHORS:
            self.anchors = yolo.anchor_sizes(self, options.num_box)[:, : options.num_box]
        elif len(bottom_shapes) > 1:
            raise self.error("has 2 bottoms, expected 1: the first YOLO has one map")

    def most_rows(self, bottom_shapes):
        options = self.options
        if options.layout == options.ANCHORS:
            for index, shape in enumerate(bottom_shapes):
                yolo.check_map(self, index, shape, options.num_box, options.num_classes)
            return sum(n * options.num_box * h * w for n, _, h, w in bottom_shapes)
        v1.check_count(self, bottom_shapes[0], options.side, options.num_classes, options.num_box)
        each = options.num_classes if options.per_class else 1
        return bottom_shapes[0][0] * options.side**2 * options.num_box * each

    def candidates(self, bottom):
        if self.options.layout != self.options.ANCHORS:
            return self._of_cells(bottom[0].data)
        found = self._of_map(bottom[0].data)
        for blob in bottom[1:]:
            found = found.joined(self._of_map(blob.data))
        return found

    def _of_map(self, data):
        """Cell by cell, anchor by anchor, each with its likeliest class."""
        grid = yolo.read_map(data, self.anchors)
        classes = grid.numbers[:, :, yolo.HEAD :]
        p = yolo.softmax(classes, 2) * grid.numbers[:, :, yolo.COORDS, None]
        p = p.transpose(0, 3, 4, 1, 2)
        scores = p.reshape(len(data), math.prod(p.shape[1:4]), self.options.num_classes)
        best = scores.argmax(-1)[..., None] == np.arange(self.options.num_classes)
        chosen = best & (scores >= self.options.confidence_threshold)
        return Candidates.of(scores, yolo.corners_in_turn(grid.box), chosen)

    def _of_cells(self, data):
        """Cell by cell, box by box, class by class."""
        options = self.options
        read = v1.read_planes if options.layout == options.PLANES else v1.read_cells
        cells = read(data, options.side, options.num_classes, options.num_box)
        boxes = v1.boxes_of(cells.numbers, options.side, options)  # (4, B, N, S^2)
        scores = cells.classes[:, None] * cells.object  # (classes, B, N, S^2)
        count = options.side**2 * options.num_box
        scores = scores.transpose(2, 3, 1, 0).reshape(len(data), count, options.num_classes)
        corners = [c.transpose(1, 2, 0).reshape(len(data), count) for c in yolo.corners(boxes)]
        return Candidates.of(scores, corners, scores >= options.confidence_threshold)
