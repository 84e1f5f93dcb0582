"""What layers share that answer with boxes as rows, as YOLO's do."""

import logging
from typing import NamedTuple

import numpy as np

from ...kernels.boxes import nms
from ..base import Layer
from ._priors import told

log = logging.getLogger("caffelite")

ROW = 7
"""Numbers of a row: picture, label, score, xmin, ymin, xmax, ymax."""
DIVERGED = "the net has diverged; go back to an earlier snapshot, with a lower base_lr"


def check_finite(layer, bottoms):
    """Raise an error where one of a layer's first bottoms holds NaN or infinities."""
    for index, blob in enumerate(bottoms):
        if not np.isfinite(blob.data.sum()):
            name = layer.param.bottom[index]
            raise layer.error(
                f'bottom[{index}] "{name}" holds values that are no numbers, or too large; '
                f"{DIVERGED}",
                blob=name,
            )


def check_found(layer, corners):
    """Raise an error where a box that was found has no end: e^w is more than there are numbers."""
    bad = ~np.isfinite(corners).all(axis=1)
    if bad.any():
        raise layer.error(f"found the box {told(corners[np.argmax(bad)])}; {DIVERGED}")


class Candidates(NamedTuple):
    """Boxes with their scores before suppression, in the order in which equal ones win."""

    image: np.ndarray
    label: np.ndarray  # from 0
    score: np.ndarray
    corners: np.ndarray  # (C, 4)

    @classmethod
    def of(cls, scores, corners, chosen):
        """Those `chosen` of scores (N, boxes, classes) and corners, four arrays (N, boxes)."""
        image, box, label = np.nonzero(chosen)
        at = np.stack([c[image, box] for c in corners], axis=1)
        return cls(image, label, scores[chosen], at)

    def joined(self, other):
        return Candidates(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))


class Detections(Layer):
    """Base of layers whose top is rows of boxes: `candidates(bottom)` says which there are.

    The options of all:

    nms_threshold: a box goes if one of a higher score overlaps it by so much
    per_image: whether pictures of a batch are apart, in suppression and in the rows
    per_class: whether boxes of different classes let each other be
    """

    role = "result"
    finds_boxes = True
    drawn_as = "boxes"
    told = False

    @property
    def no_gradient(self):
        return tuple(range(len(self.param.bottom)))

    def box_labels(self):
        return range(1, self.options.num_classes + 1)

    def infer_shapes(self, bottom_shapes):
        threshold = self.options.nms_threshold
        if threshold < 0:
            raise self.error(f"nms_threshold is {threshold:g}, expected 0 or more")
        most = self.most_rows(bottom_shapes)
        return [(1, 1, max(most, bottom_shapes[0][0]), ROW)]

    def forward(self, bottom, top):
        check_finite(self, bottom)
        samples = len(bottom[0].data)
        found = self.candidates(bottom)
        if samples > 1 and not (self.options.per_image or self.told):
            self.told = True
            log.warning(
                "%s: the %d pictures of a batch suppress each other's boxes, and all rows say "
                "picture 0, as in MobileNet-YOLO; per_image: true keeps them apart",
                self.at,
                samples,
            )
        if len(found.score):
            rows = self._rows(found)
        else:
            rows = np.full((samples, ROW), -1.0)
            rows[:, 0] = np.arange(samples)
        top[0].reshape(1, 1, len(rows), ROW)
        top[0].data[0, 0] = rows

    def _rows(self, found):
        options = self.options
        image = found.image if options.per_image else np.zeros_like(found.image)
        group = image * (found.label.max() + 1) + found.label if options.per_class else image
        kept = []
        for number in np.unique(group):
            (own,) = np.nonzero(group == number)
            boxes, scores = found.corners[own], found.score[own]
            kept.append(own[nms(boxes, scores, options.nms_threshold, inclusive=True)])
        kept = np.concatenate(kept)
        check_found(self, found.corners[kept])
        kept = kept[np.lexsort([-found.score[kept], image[kept]])]
        return np.column_stack([image, found.label + 1, found.score, found.corners])[kept]
