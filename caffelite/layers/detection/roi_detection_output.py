import math

import numpy as np

from ...kernels import boxes as geometry
from ..base import register
from ._detections import ROW, Detections, check_finite, check_found
from ._rois import check_rois, read_rois


@register("RoIDetectionOutput")
class RoIDetectionOutput(Detections):
    """The boxes that a detector in two stages finds, of what it says of each region.

    The box of a class is the region, moved as the four numbers of that class say (RCNN of
    `kernels.boxes.decode`, which ends it behind its last pixel) and cut off at the picture's
    borders. Of the boxes of a class whose score is above confidence_threshold, greedy suppression
    keeps some: a box goes if a better one overlaps it by nms_threshold or more, in pixels that
    include the last. Of all that are left in a picture the keep_top_k best are told, and what
    scores as much as the last of these.

    Bottom
        0: regions, (R, 5): picture, xmin, ymin, xmax, ymax in pixels
        1: scores of K classes, (R, K), once softmax has seen them, or of machines; class 0 is the
           background
        2: codes of boxes, (R, 4 K), or (R, 8) with class_agnostic, not normalized (optional:
           without, boxes are the regions)
        3: height, width and scale of each picture, (N, 3)
    Top
        0: (1, 1, boxes, 7): picture, class, score, xmin, ymin, xmax, ymax in fractions of the
           sides; by picture, then best first. Without any, a row for each picture, of class -1
    Options (roi_detection_output_param)
        num_classes: K, with the background [as many as there are scores]
        confidence_threshold: scores have to be above it [0.05]
        nms_threshold: see above [0.3]
        keep_top_k: boxes of a picture; 0: all [100]
        class_agnostic: boxes are those of any object, the second four numbers [false]
    Source
        Girshick 2015, arXiv:1504.08083 (Fast R-CNN)
    """

    options_field = "roi_detection_output_param"
    bottoms = (3, 4)
    regions = 0

    @property
    def picture_sizes(self):
        return len(self.param.bottom) - 1

    classes = 0  # until it is set up

    def box_labels(self):
        return range(1, self.classes or self.options.num_classes)

    def setup(self, bottom_shapes):
        self.classes = self.options.num_classes or int(np.prod(bottom_shapes[1][1:]))
        if self.classes < 2:
            raise self.error(
                f"num_classes is {self.classes}, expected 2 or more: the background counts, too"
            )

    def most_rows(self, bottom_shapes):
        rois, *told, sizes = bottom_shapes
        check_rois(self, 0, rois)
        classes, boxes = self.classes, 2 if self.options.class_agnostic else 0
        wanted = (
            (classes, f"scores of {classes} classes"),
            (4 * (boxes or classes), f"4 numbers for each of {boxes or classes} classes"),
        )
        for index, (shape, (numbers, what)) in enumerate(zip(told, wanted, strict=False), 1):
            if shape[:1] != rois[:1] or np.prod(shape[1:]) != numbers:
                expected = f"({rois[0]}, {numbers}): {what}, of each region"
                raise self.shape_error(index, shape, expected)
        if len(sizes) < 2 or np.prod(sizes[1:]) < 3:
            raise self.shape_error(
                len(told) + 1, sizes, "(N, 3): height, width and scale of each picture"
            )
        return rois[0] * (classes - 1)

    def infer_shapes(self, bottom_shapes):
        shapes = super().infer_shapes(bottom_shapes)
        return [(1, 1, max(shapes[0][2], bottom_shapes[-1][0]), ROW)]

    def forward(self, bottom, top):
        check_finite(self, bottom[1:])
        sizes = bottom[-1].data.reshape(len(bottom[-1].data), -1)[:, :2]
        image, rois = read_rois(self, 0, bottom[0], len(sizes))
        scores, *codes = (
            blob.data.reshape(len(rois), math.prod(blob.shape[1:])) for blob in bottom[1:-1]
        )
        codes = codes[0] if codes else np.zeros((len(rois), 4 * self.classes), rois.dtype)
        rows = [
            self._of_picture(n, size, rois[image == n], scores[image == n], codes[image == n])
            for n, size in enumerate(sizes)
        ]
        rows = np.concatenate(rows)
        if not len(rows):
            rows = np.full((len(sizes), ROW), -1.0)
            rows[:, 0] = np.arange(len(sizes))
        top[0].reshape(1, 1, len(rows), ROW)
        top[0].data[0, 0] = rows

    def _of_picture(self, number, size, rois, scores, codes):
        """The rows of a picture of this (height, width)."""
        options, (height, width) = self.options, size
        found = []
        for label in self.box_labels():
            (able,) = np.nonzero(scores[:, label] > options.confidence_threshold)
            at = 4 if options.class_agnostic else 4 * label
            boxes = geometry.decode(codes[able, at : at + 4], rois[able], "RCNN")
            boxes, own = geometry.clip(boxes, width, height), scores[able, label]
            check_found(self, boxes)
            kept = geometry.nms(boxes, own, options.nms_threshold, inclusive=True, pixels=True)
            lines = np.empty((len(kept), ROW))
            lines[:, 0], lines[:, 1], lines[:, 2] = number, label, own[kept]
            lines[:, 3:] = boxes[kept]
            found.append(lines)
        rows = np.concatenate(found)
        rows = rows[np.argsort(-rows[:, 2], kind="stable")]
        if 0 < options.keep_top_k < len(rows):
            rows = rows[rows[:, 2] >= rows[options.keep_top_k - 1, 2]]
        rows[:, 3:] /= [width, height, width, height]
        return rows
