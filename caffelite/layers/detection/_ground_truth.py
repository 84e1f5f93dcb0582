"""Boxes of the ground truth, as AnnotatedData gives them: rows of eight numbers for a batch.

They are (image, label, instance, xmin, ymin, xmax, ymax, difficult); a row that begins with -1 is
none, which stands there where a batch has no box.
"""

import logging
import math
from typing import NamedTuple

import numpy as np

from ...kernels import boxes as geometry
from ._priors import told

log = logging.getLogger("caffelite")

ROW = "(1, 1, boxes, 8): image, label, instance, xmin, ymin, xmax, ymax, difficult"
MOST = 1 << 31
"""No image or label comes near."""


class GroundTruth(NamedTuple):
    """The boxes of a batch, in the order of their rows."""

    image: np.ndarray
    label: np.ndarray
    box: np.ndarray
    difficult: np.ndarray

    def only(self, which):
        return GroundTruth(*(column[which] for column in self))


def check_rows(layer, index, shape, columns, expected):
    """Raise unless a bottom has rows of so many numbers."""
    if not shape or shape[-1] != columns or math.prod(shape[:-2]) != 1:
        raise layer.shape_error(index, shape, expected)


def read_ground_truth(layer, index, blob, background, images=math.inf, classes=math.inf):
    """The boxes in a bottom; each is checked, if need be against how many images or classes are.

    The first one without an area is told of, which no other overlaps.
    """
    rows = blob.data.reshape(-1, 8)
    rows = rows[rows[:, 0] != -1]

    def check(bad, expected):
        if bad.any():
            name, row = layer.param.bottom[index], rows[np.argmax(bad)]
            words = f'bottom[{index}] "{name}" holds the box {told(row)}, expected {expected}'
            raise layer.error(words, blob=name)

    check(~np.isfinite(rows).all(axis=1), "numbers")
    image, label = rows[:, :2].T.clip(-1, MOST).astype(np.int64)
    check(
        (image < 0) | (image >= images),
        f"an image from 0 to {images - 1}, one of the batch"
        if math.isfinite(images)
        else "images that count from 0",
    )
    check(
        label == background,
        f"another label than {background}, background_label_id: no box is of the background",
    )
    check(
        (label < 0) | (label >= classes),
        f"a label from 0 to {classes - 1}; num_classes counts the background, too"
        if math.isfinite(classes)
        else "a label from 0 on",
    )
    flat = geometry.area(rows[:, 3:7]) <= 0
    warn_once(layer, index, rows[flat], "which has no area, so that none overlaps it")
    return GroundTruth(image, label, rows[:, 3:7], rows[:, 7] != 0)


def warn_once(layer, index, rows, words):
    """Tell of the first row of a bottom that something is wrong with; `layer.warned` notes it."""
    if len(rows) and (index, words) not in layer.warned:
        layer.warned.add((index, words))
        log.warning(
            '%s: bottom[%d] "%s" holds the box %s, %s; others of the kind are not told',
            *(layer.at, index, layer.param.bottom[index], told(rows[0]), words),
        )
