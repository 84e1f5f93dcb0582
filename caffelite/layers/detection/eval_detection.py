import logging
from functools import partial

import numpy as np

from ...kernels.boxes import nms
from ..base import Layer, register
from . import _yolo as yolo
from . import _yolo_v1 as v1
from ._detections import check_finite

log = logging.getLogger("caffelite")

LEAST = 0.005
"""Boxes of YOLO v2 with a smaller score are left out."""
NUMBERS = 4
"""Of a box: label, score, whether it is right, whether it is wrong."""
CELLS, ROWS, FLAT = "cells", "rows", "flat"
"""Forms of labels: of yk's Caffe, for the first YOLO; of Intel's and gklz's, for YOLO v2."""


@register("EvalDetection")
class EvalDetection(Layer):
    """y = how many objects of each class a picture has, then label, score, tp, fp of boxes found.

    Of the objects of its class, a box is about the one that it overlaps most. It is right (tp 1,
    fp 0) if that is by `threshold` or more, and no better box was right about it; else it is wrong
    (fp 1). Boxes stand class by class, best first; what is left of the row is 0. The shape of the
    labels tells what is evaluated:

    - the first YOLO, as in yk's Caffe: a box is of the likeliest class of its cell. One on a
      difficult object has tp and fp 0, and such objects are not counted.
    - YOLO v2, as in Intel's Caffe: classes go through a softmax; boxes with scores below 0.005 are
      left out. One that overlaps no object of its class by `threshold`, where there are some, has
      tp and fp 0. Without `nms` no box is evaluated.
    - YOLO v2, as in gklz's Caffe: the same, with the overlaps of what the picture shows of boxes.

    Bottom
        0: scores, as DetectionLoss takes them (the first YOLO), or RegionLoss (YOLO v2)
        1: labels; no gradient: N times 7 side^2, as DetectionLoss takes them (the first YOLO);
           (1, 1, R, 8), rows of AnnotatedData, or N times 150, 30 times class (from 0), x, y, w, h
           (YOLO v2)
    Top
        0: y, (N, num_class + 4 num_object side^2)
    Options (eval_detection_param)
        side: rows and columns of cells [7]
        num_class: classes [20]
        num_object: boxes a cell [2]
        threshold: overlap of a box that is right [0.5]
        score_type: score of a box: OBJ: o; PROB: p of its class; MULTIPLY: o p [MULTIPLY]
        nms: a box goes if it overlaps one of a higher score by so much, of any class; below 0: none
            goes, in the first YOLO [-1]
        biases: YOLO v2: sizes of anchors, w and h in cells, one after the other
        sqrt, constriant: as in DetectionLoss [true, true]
    """

    options_field = "eval_detection_param"
    role = "measure"
    compares = "cells"
    bottoms = 2
    no_gradient = (0, 1)

    def box_labels(self):
        return yolo.labels(self.options)

    def box_code(self):
        return yolo.anchor_code(self.options) or v1.code(self.options)

    def finder(self):
        options = self.options
        if not options.biases:
            return v1.finder(self.param, options)
        return yolo.finder(
            self.param,
            num_classes=options.num_class,
            num_box=options.num_object,
            biases=options.biases,
        )

    def setup(self, bottom_shapes):
        if self._checked_form(*bottom_shapes) == CELLS:
            return
        count = self.options.num_object
        self.anchors = yolo.anchor_sizes(self, count)[:, :count]
        if self.options.nms < 0:
            log.warning(
                "%s: nms is not given: as in Intel's Caffe no box of YOLO v2 is evaluated, "
                "objects are but counted",
                self.at,
            )

    def _form(self, labels):
        """What the labels of this shape hold: CELLS, ROWS or FLAT."""
        if len(labels) == 4 and labels[:2] == (1, 1) and labels[3] == 8:
            return ROWS
        return CELLS if np.prod(labels[1:]) == v1.LABELS * self.options.side**2 else FLAT

    def _checked_form(self, scores, labels):
        """The same; raises an error for labels of no form."""
        form, side = self._form(labels), self.options.side
        if form == FLAT and (labels[:1] != scores[:1] or np.prod(labels[1:]) != 150):
            expected = (
                f"{scores[0]} x {v1.LABELS * side**2}, {v1.LABELS} numbers a cell; or "
                f"(1, 1, R, 8), rows of AnnotatedData; or {scores[0]} x 150"
            )
            raise self.shape_error(1, labels, expected)
        return form

    def infer_shapes(self, bottom_shapes):
        options, (scores, labels) = self.options, bottom_shapes
        side, classes, boxes = options.side, options.num_class, options.num_object
        if self._checked_form(scores, labels) == CELLS:
            v1.check_count(self, scores, side, classes, boxes)
            v1.check_labels(self, labels, scores[0], side)
            return [(scores[0], classes + NUMBERS * boxes * side**2)]
        yolo.check_map(self, 0, scores, boxes, classes)
        if scores[2:] != (side, side):
            raise self.shape_error(0, scores, f"side, {side}, rows and columns")
        return [(scores[0], classes + NUMBERS * boxes * side**2)]

    def forward(self, bottom, top):
        check_finite(self, bottom[:1])
        self.form = self._form(bottom[1].shape)
        true, difficult = self._true(bottom)
        label, score, box = self._found(bottom[0].data)
        overlap = partial(yolo.iou, corners=self._corners)
        for n, y in enumerate(top[0].data):
            objects = true.part(true.image == n)
            hard = difficult[true.image == n]
            classes = self.options.num_class
            y[...] = 0
            y[:classes] = np.bincount(objects.label[~hard], minlength=classes)
            kept = self._kept(label[n], score[n], box[:, n])
            rows = np.zeros((len(kept), NUMBERS), y.dtype)
            rows[:, 0], rows[:, 1] = label[n, kept], score[n, kept]
            overlaps = overlap(box[:, n, kept, None], objects.box[:, None])
            self._judge(rows, objects.label, hard, overlaps)
            y[classes : classes + rows.size] = rows.ravel()

    @property
    def _corners(self):
        return yolo.clipped if self.form == FLAT else yolo.corners

    def _true(self, bottom):
        """(Truths, which of them are difficult)"""
        options, (n, *_) = self.options, bottom[0].shape
        if self.form == CELLS:
            found = v1.read_objects(self, bottom[1], options.side, options.num_class)
            return yolo.Truths(found.image, found.label, found.box), found.difficult
        grid = (options.side, options.side)
        if self.form == ROWS:
            labels = yolo.eight_numbers(self, bottom[1], options.num_class, grid, n)
        else:
            labels = yolo.five_numbers(self, bottom[1], options.num_class, grid)
        return labels.matched, np.zeros(len(labels.matched.image), bool)

    def _found(self, data):
        """label, score and box of all boxes, (N, boxes), (N, boxes) and (4, N, boxes)."""
        options = self.options
        if self.form == CELLS:
            sizes = options.side, options.num_class, options.num_object
            cells = v1.read_planes(data, *sizes)
            box, p, o = (
                v1.boxes_of(cells.numbers, options.side, options),
                cells.classes,
                cells.object,
            )
            p, o = p.transpose(1, 2, 0)[:, :, None], o.transpose(1, 2, 0)
            box = box.transpose(0, 2, 3, 1)
        else:
            grid = yolo.read_map(data, self.anchors)
            p = yolo.softmax(grid.numbers[:, :, yolo.HEAD :], 2).transpose(0, 3, 4, 1, 2)
            o = grid.numbers[:, :, yolo.COORDS].transpose(0, 2, 3, 1)
            box = grid.box.transpose(0, 1, 3, 4, 2)
        label, p = np.broadcast_to(p.argmax(-1), o.shape), np.broadcast_to(p.max(-1), o.shape)
        score = {options.OBJ: o, options.PROB: p, options.MULTIPLY: o * p}[options.score_type]
        count = options.num_object * options.side**2
        label, score = label.reshape(len(data), count), score.reshape(len(data), count)
        return label, score, box.reshape(yolo.COORDS, len(data), count)

    def _kept(self, label, score, box):
        """Which boxes of a picture are evaluated, class by class, best first."""
        if self.options.nms >= 0:
            corners = np.stack(self._corners(box), axis=1)
            kept = nms(corners, score, self.options.nms, inclusive=True)
        else:
            kept = np.argsort(-score, kind="stable") if self.form == CELLS else np.arange(0)
        if self.form != CELLS:
            kept = kept[score[kept] >= LEAST]
        return kept[np.argsort(label[kept], kind="stable")]

    def _judge(self, rows, labels, difficult, overlaps):
        """Fill in tp and fp of the rows of a picture."""
        taken = np.zeros(len(labels), bool)
        for row, overlap in zip(rows, overlaps, strict=True):
            (own,) = np.nonzero(labels == row[0])
            best = own[overlap[own].argmax()] if len(own) else None
            if best is None:
                row[3] = 1
            elif overlap[best] < self.options.threshold:
                row[3] = self.form == CELLS
            elif not difficult[best]:
                row[2], row[3] = not taken[best], taken[best]
                taken[best] = True
