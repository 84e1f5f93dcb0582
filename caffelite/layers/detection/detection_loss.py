import numpy as np

from ..base import register
from ..loss._loss import Loss
from . import _yolo as yolo
from . import _yolo_v1 as v1

FARTHEST = 20
"""Of boxes that share nothing with the true one, one whose numbers are so far off is not taken."""


@register("DetectionLoss")
class DetectionLoss(Loss):
    """L = the first YOLO's loss: means of squared errors, one a term, each with its weight.

    Each of S^2 cells says a number for each class and, for each of its B boxes, o, x, y, w, h. In a
    cell with an object, the box that overlaps it most is responsible (if none does, the one whose
    numbers are nearest), and with T cells that have one

    - class: class_scale (sum over classes of (p - 1 for its class, p for others)^2), mean of T
    - object: object_scale (o - 1)^2 of responsible boxes, mean of T
    - coordinates: coord_scale ((x - true x)^2 + the same of y, w, h), mean of T
    - no object: noobject_scale o^2 of all boxes that are not responsible, mean of these

    The gradient is that of yk's Caffe, and not the derivative of this number: scale times (number -
    target), without the factor 2, divided by N and nothing else; and the target of o is the
    overlap, not 1. Where no cell has an object, the means of T are 0 here; that Caffe gives NaN.

    Bottom
        0: a map for each number: N times (num_class + 5 num_object) side^2: classes, o of each box,
           then x, y, w, h of the first box, of the next; cells row by row
        1: labels, N times 7 side^2: difficult, whether there is an object, its class (from 0), each
           of all cells, then x, y, w, h of cell after cell, in units of the picture; no gradient
    Top
        0: L, one number
    Options (detection_loss_param)
        side: S [7]
        num_class: classes [20]
        num_object: boxes a cell, B [2]
        object_scale, noobject_scale, class_scale, coord_scale: weights [1, 0.5, 1, 5]
        sqrt: w and h are learned as their square roots [true]
        constriant: x and y are learned relative to the cell, in units of it [false]
    Source
        Redmon, Divvala, Girshick, Farhadi 2015, arXiv:1506.02640 (YOLO)
    """

    options_field = "detection_loss_param"
    ignored = {"loss_param": "each term has its own mean"}

    def box_labels(self):
        return yolo.labels(self.options)

    def box_code(self):
        return v1.code(self.options)

    def finder(self):
        return v1.finder(self.param, self.options)

    def infer_shapes(self, bottom_shapes):
        options, (scores, labels) = self.options, bottom_shapes
        v1.check_count(self, scores, options.side, options.num_class, options.num_object)
        v1.check_labels(self, labels, scores[0], options.side)
        return [()]

    def forward(self, bottom, top):
        options = self.options
        sizes = options.side, options.num_class, options.num_object
        self.gradient = np.zeros_like(bottom[0].data)
        cells, g = (v1.read_planes(a, *sizes) for a in (bottom[0].data, self.gradient))
        true = v1.read_objects(self, bottom[1], options.side, options.num_class)
        count, at = len(true.cell), (true.image, true.cell)
        box, overlap = self._responsible(cells, true)
        own = box, *at

        o = cells.object
        g.object[...] = options.noobject_scale * o
        empty = options.noobject_scale * (np.square(o).sum() - np.square(o[own]).sum())
        g.object[own] = options.object_scale * (o[own] - overlap)
        terms = options.object_scale * np.square(o[own] - 1).sum()

        error = cells.classes[:, true.image, true.cell].copy()
        error[true.label, np.arange(count)] -= 1
        g.classes[:, true.image, true.cell] = options.class_scale * error
        terms += options.class_scale * np.square(error).sum()

        error = cells.numbers[(slice(None), *own)] - self._targets(true)
        g.numbers[(slice(None), *own)] = options.coord_scale * error
        terms += options.coord_scale * np.square(error).sum()
        top[0].data[...] = terms / max(1, count) + empty / max(1, o.size - count)

    def _responsible(self, cells, true):
        """(box, its overlap with the object) of each cell that has one."""
        boxes = v1.boxes_of(cells.numbers, self.options.side, self.options)
        boxes = boxes[:, :, true.image, true.cell]
        overlaps = yolo.iou(boxes, true.box[:, None])
        distance = np.sqrt(np.square(boxes - true.box[:, None]).sum(0))
        nearest = np.where(distance < FARTHEST, distance, FARTHEST).argmin(0)
        box = np.where(overlaps.any(0), overlaps.argmax(0), nearest)
        return box, np.take_along_axis(overlaps, box[None], 0)[0]

    def _targets(self, true):
        """x, y, w, h of objects as the numbers of their boxes should be."""
        options, xy, wh = self.options, true.box[:2], true.box[2:]
        if options.constriant:
            xy = xy * options.side - v1.column_row(options.side, xy.dtype)[:, true.cell]
        return np.concatenate([xy, np.sqrt(wh) if options.sqrt else wh])

    def backward(self, top, propagate_down, bottom):
        self.refuse_label_gradient(propagate_down)
        if propagate_down[0]:
            factor = float(top[0].diff) / max(1, len(bottom[0].data))
            np.multiply(self.gradient, factor, out=bottom[0].diff)
