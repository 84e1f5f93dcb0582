"""How well a detector finds boxes: average precision, and what is taken for what."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import _coco
from ._ranked import AVERAGES, Ranked, rows_of
from ._taken_for import TakenFor
from ._worst import MOST_NAMED
from .accuracy import class_names
from .base import Section, number, register

MOST_CONFUSED = 30  # classes whose confusion is shown
COCO = "COCO"  # the mean over overlaps from 0.5 to 0.95
_WRONG = ("missed", "extra", "confused")


class Boxes(NamedTuple):
    """Boxes of pictures, in fractions of these: found ones have scores, true ones whether they
    are to be found."""

    image: np.ndarray
    label: np.ndarray
    value: np.ndarray
    box: np.ndarray  # n x 4

    def of(self, chosen):
        return Boxes(*(column[chosen] for column in self))

    def rows(self, with_value=True):
        """image, class, score, box, in double precision; without the score of true ones."""
        columns = (self.image, self.label, *([self.value] if with_value else []))
        return np.column_stack([*(np.float64(column) for column in columns), self.box])


def joined(parts):
    """The Boxes of several batches as one."""
    none = Boxes(*np.zeros((3, 0), int), np.zeros((0, 4), np.float32))
    return Boxes(*(np.concatenate(column) for column in zip(none, *parts, strict=True)))


@register("detection")
class Detection(Ranked):
    """Boxes that a detector finds against true ones, by the rows that DetectionEvaluate makes.

    Beside what all such measures tell, the average precision of COCO, over ten overlaps; which
    class is taken for which, of boxes whose score reaches `least_score`, and the pictures with most
    that is wrong. Boxes of classes that the layer does not evaluate are not looked at.
    """

    compares = "boxes"
    shown = tuple(f"mAP {name}" for name in (*AVERAGES, COCO))
    background, overlap, counts_difficult = 0, 0.5, True

    def __init__(self, first, second):
        super().__init__(first, second)
        self.found, self.true = [], []  # Boxes, a part for each batch
        self.numbered = True

    def take_options(self, layer):
        self.background = layer.options.background_label_id
        self.overlap = layer.options.overlap_threshold
        self.counts_difficult = layer.options.evaluate_difficult_gt

    def batch_size(self, net):
        source = next(node for node in net.nodes if self.blobs[1] in node.top_names)
        return len(source.top_blobs[0].data)

    def add(self, batch):
        found, true = (rows_of(batch, name, 7 + k) for k, name in enumerate(self.blobs))
        judged = rows_of(batch, min(self.tops), 5)
        is_count = judged[:, 0] == -1
        classes, judged = judged[is_count, 1].astype(int), judged[~is_count]
        images = batch.size
        if images is None:
            images = 1 + int(max(found[:, 0].max(initial=-1), true[:, 0].max(initial=-1)))
        if batch.count is not None:  # the batch goes on with the first samples
            images = batch.count
            found, true, judged = (rows[rows[:, 0] < images] for rows in (found, true, judged))
        found, true = (
            rows[(rows[:, 0] >= 0) & np.isin(rows[:, 1], classes)] for rows in (found, true)
        )
        counts = np.ones(len(true), bool) if self.counts_difficult else true[:, 7] == 0
        labels = true[counts, 1]
        self.take({one: int((labels == one).sum()) for one in classes.tolist()}, judged[:, 1:])
        first = self.samples if batch.first is None else batch.first
        self.numbered &= batch.first is not None
        self.found.append(_boxes(found, first, found[:, 2]))
        self.true.append(_boxes(true, first, counts))
        self.samples += images

    def merge(self, other):
        shift = 0 if other.numbered else self.samples
        for mine, theirs in ((self.found, other.found), (self.true, other.true)):
            mine += [part._replace(image=part.image + shift) for part in theirs]
        self.numbered &= other.numbered
        super().merge(other)

    def averages(self, ranked):
        """Those of all such measures, and COCO's, for which what need not be found is a crowd."""
        true = joined(self.true)
        counted = _coco.count(joined(self.found).rows(), true.rows(False), true.value == 0)
        found = {one: float(of.average_precision().mean()) for one, of in counted.items()}
        return {**super().averages(ranked), COCO: {one: found.get(one, 0.0) for one in ranked}}

    def report(self):
        true, found = joined(self.true), joined(self.found)
        found = found.of(found.value >= self.least_score)
        taken = TakenFor(found.rows(), true.rows(False), true.value == 1, self.overlap)
        report = super().report() | {"overlap_threshold": self.overlap}
        report |= {"background": self._background, "confusion": self._matrix(found, true, taken)}
        return report | {"worst": _worst(found, true, taken) if self.numbered else []}

    @property
    def _background(self):
        """The row and column of the confusion that stand for no box."""
        return self.background if self.background >= 0 else max(self.positives, default=-1) + 1

    def _matrix(self, found, true, taken):
        """Boxes by their true class (rows) and by the class that they were found as."""
        none, (rows, own) = self._background, taken.pairs
        matrix = np.zeros((max(none, *self.positives, 0) + 1,) * 2, np.int64)
        np.add.at(matrix, (true.label[own], found.label[rows]), 1)
        np.add.at(matrix, (none, found.label[taken.extra]), 1)
        np.add.at(matrix, (true.label[taken.missed], none), 1)
        return matrix.tolist()

    def names(self, report, names):
        """The names of the classes, and of the background."""
        named = class_names(names, len(report["confusion"]))
        if not names or report["background"] >= len(names):
            named[report["background"]] = "background"
        return named

    def sections(self, report, names=()):
        yield from super().sections(report, names)
        names, matrix = self.names(report, names), report["confusion"]
        if len(matrix) <= MOST_CONFUSED:
            score, overlap = (number(report[name]) for name in ("least_score", "overlap_threshold"))
            title = f"confusion of a score from {score} and an overlap from {overlap} on"
            title += " (a row for each true class, a column for each found)"
            cells = [(name, *map(str, row)) for name, row in zip(names, matrix, strict=True)]
            yield Section(title, ("", *names), cells, heat=True)
        if worst := report["worst"]:
            rows = [tuple(str(one[kind]) for kind in _WRONG) for one in worst]
            numbers = [one["number"] for one in worst]
            yield Section("the pictures with most that is wrong", _WRONG, rows, 0, numbers)

    def marks(self, number):
        """The true boxes of a picture in white, those found in the colors of their classes."""
        true, found = joined(self.true), joined(self.found)
        true = true.of(true.image == number)
        found = found.of((found.image == number) & (found.value >= self.least_score))
        colors = [*found.label.tolist(), *[-1] * len(true.label)]
        boxes = np.concatenate([found.box, true.box])[:, [1, 0, 3, 2]]
        return list(zip(map(tuple, boxes.tolist()), colors, strict=True))


def _boxes(rows, first, value):
    """Boxes of rows of SSD's layers, whose pictures are numbered from `first` on."""
    images, labels = rows[:, :2].astype(np.int64).T
    return Boxes(images + first, labels, value, np.float32(rows[:, 3:7]))


def _worst(found, true, taken):
    """The pictures with most boxes that were missed, made up or taken for another class."""
    rows, own = taken.pairs
    confused = rows[found.label[rows] != true.label[own]]
    kinds = true.image[taken.missed], found.image[taken.extra], found.image[confused]
    images, at = np.unique(np.concatenate(kinds), return_inverse=True)
    counts = np.zeros((len(images), len(kinds)), int)
    np.add.at(counts, (at, np.repeat(np.arange(len(kinds)), [len(one) for one in kinds])), 1)
    order = np.lexsort((images, -counts.sum(axis=1)))[:MOST_NAMED]
    return [
        {"number": int(images[k]), **dict(zip(_WRONG, counts[k].tolist(), strict=True))}
        for k in order
    ]
