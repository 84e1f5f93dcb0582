import functools
import logging

import numpy as np

from ...errors import DataError
from ...kernels import boxes as geometry
from ..base import Layer, register
from ._ground_truth import ROW, check_rows, read_ground_truth, warn_once
from ._pixels import check_resize, in_pixels, read_name_sizes
from ._priors import check_classes, labels_of

log = logging.getLogger("caffelite")

FOUND = "(1, 1, boxes, 7): image, label, score, xmin, ymin, xmax, ymax"


@register("DetectionEvaluate")
class DetectionEvaluate(Layer):
    """Which of the boxes found are right: what average precision is computed of.

    Of each image and class, boxes are taken by score, best first. One is right (1, 0) if the box of
    the ground truth that it overlaps most, the first of equals, is overlapped by overlap_threshold
    or more, and no better one found that; else it is wrong (0, 1). With evaluate_difficult_gt:
    false, a difficult box need not be found, and one that finds it is neither (0, 0).

    With name_size_file, boxes are compared in whole pixels of the pictures, whose sizes come in
    turn. As in SSD's Caffe each image among the boxes found takes the next size, so that where one
    of a batch has none, those after it get sizes of others; that is warned about.

    Bottom
        0: boxes found, (1, 1, boxes, 7), as DetectionOutput gives them
        1: ground truth, (1, 1, boxes, 8): image, label, instance, xmin, ymin, xmax, ymax, difficult
    Top
        0: (1, 1, classes + boxes, 5): a row for each class but the background: -1, label, how many
            there are to be found, -1, -1; then one for each box found: image, label, score, right,
            wrong; by image, then label, best first where there is something to be found
    Options (detection_evaluate_param)
        num_classes: with the background
        background_label_id: label of the background [0]
        overlap_threshold: the least overlap with a box that is found [0.5]
        evaluate_difficult_gt: whether difficult boxes are to be found [true]
        name_size_file: lines NAME HEIGHT WIDTH, in the order of the images
        resize_param: how they were resized
    Source
        Liu, Anguelov, Erhan, Szegedy, Reed, Fu, Berg 2016, arXiv:1512.02325 (SSD)
    """

    options_field = "detection_evaluate_param"
    role = "measure"
    compares = "boxes"
    files = ("name_size_file",)
    bottoms = 2
    no_gradient = (0, 1)

    def moot(self):
        found = super().moot()
        if not self.options.name_size_file:
            found[f"{self.options_field}.resize_param"] = "it acts with a name_size_file"
        return found

    def box_labels(self):
        return labels_of(self.options)

    def setup(self, bottom_shapes):
        options = self.options
        check_classes(self)
        if not options.overlap_threshold > 0:
            raise self.error(
                f"overlap_threshold is {options.overlap_threshold:g}, expected a number above 0"
            )
        self.wanted = list(labels_of(options))
        self.resize, self.seen, self.warned = None, 0, set()
        if options.name_size_file and options.HasField("resize_param"):
            self.resize = options.resize_param
            check_resize(self, self.resize, "resize_param")

    @functools.cached_property
    def sizes(self):
        """(height, width) of each picture, where they are told; read when first needed."""
        path = self.options.name_size_file
        try:
            return [size for _, size in read_name_sizes(path)] if path else []
        except DataError as problem:
            raise self.error(f"name_size_file: {problem}", DataError) from None

    def infer_shapes(self, bottom_shapes):
        check_rows(self, 0, bottom_shapes[0], 7, FOUND)
        check_rows(self, 1, bottom_shapes[1], 8, ROW)
        boxes = int(np.prod(bottom_shapes[0][:-1]))
        return [(1, 1, len(self.wanted) + boxes, 5)]

    def forward(self, bottom, top):
        found = bottom[0].data.reshape(-1, 7)
        self._check_found(found)
        truth = read_ground_truth(self, 1, bottom[1], self.options.background_label_id)
        self._tell_of_strange(1, bottom[1].data.reshape(-1, 8))
        counted = truth.only(~truth.difficult | self.options.evaluate_difficult_gt)
        rows = [(-1, k, np.count_nonzero(counted.label == k), -1, -1) for k in self.wanted]
        images = np.unique(found[:, 0][found[:, 0] >= 0])
        for image in images:
            own = found[(found[:, 0] == image) & (found[:, 1] >= 0)]
            there = truth.only(truth.image == image)
            for label in np.unique(own[:, 1]):
                alike = own[own[:, 1] == label]
                rows += self._judge(alike, there.only(there.label == label))
            self.seen += 1
        self._check_sizes(images)
        top[0].reshape(1, 1, len(rows), 5)
        top[0].data[0, 0] = rows

    def _check_found(self, found):
        background = self.options.background_label_id
        bad = ~np.isfinite(found).all(axis=1) | (found[:, 1] == background)
        if bad.any():
            row, name = found[np.argmax(bad)], self.param.bottom[0]
            told = ", ".join(f"{n:g}" for n in row)
            raise self.error(
                f'bottom[0] "{name}" holds the row ({told}), expected numbers, and another label '
                f"than {background}, background_label_id",
                blob=name,
            )
        self._tell_of_strange(0, found)

    def _tell_of_strange(self, index, rows):
        """Warn of boxes whose class has no row that says how many there are to be found."""
        strange = rows[(rows[:, 0] >= 0) & (rows[:, 1] >= self.options.num_classes)]
        words = f"whose label is none of num_classes, {self.options.num_classes}: no AP counts it"
        warn_once(self, index, strange, words)

    def _judge(self, found, truth):
        """Rows of one image and label."""
        if not len(truth.box):
            return [(*row[:3], 0, 1) for row in found]
        found = found[np.argsort(-found[:, 2], kind="stable")]
        overlaps = self._overlaps(found[:, 3:], truth.box)
        rows, taken = [], set()
        for row, nearest, overlap in zip(
            found, overlaps.argmax(axis=1), overlaps.max(axis=1), strict=True
        ):
            right = overlap >= self.options.overlap_threshold
            needed = self.options.evaluate_difficult_gt or not truth.difficult[nearest]
            if right and not needed:
                rows.append((*row[:3], 0, 0))
                continue
            right = right and nearest not in taken
            if right:
                taken.add(nearest)
            rows.append((*row[:3], right, not right))
        return rows

    def _overlaps(self, found, truth):
        if not self.sizes:
            return geometry.iou(found, truth)
        size = self.sizes[self.seen % len(self.sizes)]
        (found, area), (truth, own_area) = (
            in_pixels(boxes, size, self.resize) for boxes in (found, truth)
        )
        return geometry.iou_in_ssd_pixels(found, truth, area, own_area)

    def _check_sizes(self, images):
        """Warn, once, where an image without a box found shifts the sizes of those after it."""
        shifted = self.sizes and len(images) and images[-1] + 1 != len(images)
        if shifted and "sizes" not in self.warned:
            self.warned.add("sizes")
            log.warning(
                "%s: bottom[0] has boxes of %d of %d images, so that images after one without take "
                "the sizes of others, as in SSD's Caffe; leave name_size_file out, or let "
                "DetectionOutput give each image a box: confidence_threshold: 0",
                *(self.at, len(images), int(images[-1]) + 1),
            )
