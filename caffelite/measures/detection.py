"""How well a detector finds boxes: average precision, and what is taken for what."""

from __future__ import annotations

import logging
from typing import NamedTuple

import numpy as np

from ..errors import NetError, SolverError, did_you_mean
from . import _coco
from ._average_precision import COCO_POINTS, RULES, average_precision, precision_recall
from ._by_class import OF_A_CLASS, by_class
from ._taken_for import TakenFor
from ._worst import MOST_NAMED
from .accuracy import class_names
from .base import Measure, Section, number, register

log = logging.getLogger("caffelite")

MOST_KEPT = 50_000_000  # boxes found; they take 2 GB
MOST_SHOWN = 100  # classes that are shown one by one
MOST_CURVES = 40
MOST_CONFUSED = 30  # classes whose confusion is shown
AVERAGES = {"VOC2007": "11point", "VOC2012": "MaxIntegral", "Integral": "Integral"}
COCO = "COCO"  # the mean over overlaps from 0.5 to 0.95
_WRONG = ("missed", "extra", "confused")


class Boxes(NamedTuple):
    """Boxes of images, in fractions of these: found ones have scores, true ones difficult flags."""

    image: np.ndarray
    label: np.ndarray
    value: np.ndarray  # the score, or whether it is difficult
    box: np.ndarray  # n x 4

    def of(self, chosen):
        return Boxes(*(column[chosen] for column in self))

    def rows(self):
        """image, class, score, box, in double precision."""
        columns = self.image, self.label, self.value
        return np.column_stack([*(np.float64(column) for column in columns), self.box])

    @classmethod
    def join(cls, parts):
        parts = list(parts) or [cls.none()]
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    @classmethod
    def none(cls):
        return cls(*np.zeros((3, 0), int), np.zeros((0, 4), np.float32))


@register("detection")
class Detection(Measure):
    """Boxes that a detector finds against true ones, by the rows that DetectionEvaluate makes.

    Of each class the average precision by the rules of VOC2007, VOC2012 and SSD, at the overlap of
    the layer, and by COCO's at ten of them; mAP is the mean over the classes, those without a true
    box included, as in SSD. Precision, recall and what is taken for what are those of the boxes
    whose score reaches `least_score`. Tests of a solver show mAP by its `ap_version`.
    """

    compares = "boxes"
    shown = tuple(f"mAP {name}" for name in (*AVERAGES, COCO))
    replaces = True
    least_score = 0.5
    rule, per_class = "Integral", False
    background, overlap, counts_difficult = 0, 0.5, True

    def __init__(self, first, second):
        super().__init__(first, second)
        self.classes = set()
        self.found, self.true = [], []  # Boxes, a part for each batch
        self.judged = []  # rows of class, score, right, wrong
        self.numbered, self.kept = True, 0

    def take_options(self, layer):
        self.background = layer.options.background_label_id
        self.overlap = layer.options.overlap_threshold
        self.counts_difficult = layer.options.evaluate_difficult_gt

    def take_threshold(self, threshold):
        if threshold is not None:
            self.least_score = threshold

    def batch_size(self, net):
        source = next(node for node in net.nodes if self.blobs[1] in node.top_names)
        return len(source.top_blobs[0].data)

    def take_tests(self, param):
        if param.ap_version not in RULES:
            hint = did_you_mean(param.ap_version, RULES) or f"; there are {', '.join(RULES)}"
            raise SolverError(f'ap_version: unknown "{param.ap_version}"{hint}')
        self.rule, self.per_class = param.ap_version, param.show_per_class_result

    def add(self, batch):
        found, true = (_rows(batch, name, 7 + k) for k, name in enumerate(self.blobs))
        judged = _rows(batch, min(self.tops), 5)
        of_class = judged[:, 0] == -1
        self.classes |= set(judged[of_class, 1].astype(int).tolist())
        judged = judged[~of_class]
        images = batch.size or batch.count
        if images is None:
            images = 1 + int(max((rows[:, 0].max(initial=-1) for rows in (found, true)), default=0))
        if batch.count is not None:  # the batch goes on with the first samples
            found, true, judged = (rows[rows[:, 0] < batch.count] for rows in (found, true, judged))
            images = batch.count
        first = self.samples if batch.first is None else batch.first
        self.numbered &= batch.first is not None
        found = found[(found[:, 1] >= 0) & (found[:, 1] != self.background)]
        true = true[true[:, 0] >= 0]
        self._keep(_boxes(found, first, 2, 3), _boxes(true, first, 7, 3))
        self.judged.append(judged[:, 1:])
        self.samples += images

    def _keep(self, found, true):
        self.kept += len(found.image)
        if self.kept > MOST_KEPT:
            raise NetError(
                f'"{self.blobs[0]}" against "{self.blobs[1]}": more than {MOST_KEPT} boxes were '
                "found; test fewer samples, or let the net keep fewer: keep_top_k"
            )
        self.found.append(found)
        self.true.append(true)

    def merge(self, other):
        shift = 0 if other.numbered else self.samples
        for mine, theirs in ((self.found, other.found), (self.true, other.true)):
            mine += [part._replace(image=part.image + shift) for part in theirs]
        self.judged += other.judged
        self.classes |= other.classes
        self.samples += other.samples
        self.kept += other.kept
        self.numbered &= other.numbered

    def _counting(self, true):
        """Which true boxes are to be found."""
        return np.ones(len(true.image), bool) if self.counts_difficult else true.value == 0

    def _ranked(self):
        """{class: (scores, right, wrong, positives)}; boxes found that are neither are left out."""
        true, rows = Boxes.join(self.true), np.concatenate([np.zeros((0, 4)), *self.judged])
        labels = true.label[self._counting(true)]
        rows = rows[(rows[:, 2:] != 0).any(axis=1)]
        ranked = {}
        for one in sorted(self.classes):
            _, scores, right, wrong = rows[rows[:, 0] == one].T
            ranked[one] = scores, right == 1, wrong == 1, int((labels == one).sum())
        return ranked

    def figures(self):
        averages = _averages(self._ranked(), self.rule)
        return {name: np.float64(_mean(averages.values())) for name in self.shows() if averages}

    def details(self):
        averages = _averages(self._ranked(), self.rule) if self.per_class else {}
        return {f"class{one}": np.float64(value) for one, value in averages.items()}

    def shows(self):
        return sorted(self.tops)[:1]

    def rises(self, figure):
        return True

    def report(self):
        true, ranked = Boxes.join(self.true), self._ranked()
        averages = {name: _averages(ranked, rule) for name, rule in AVERAGES.items()}
        averages[COCO] = self._coco(true)
        found = Boxes.join(self.found)
        found = found.of(found.value >= self.least_score)
        taken = TakenFor(found.rows(), _without_value(true), self._counting(true), self.overlap)
        report = {"found": self.blobs[0], "true": self.blobs[1], "samples": self.samples}
        report["boxes"] = sum(positives for *_, positives in ranked.values())
        report |= {"overlap_threshold": self.overlap, "least_score": self.least_score}
        report |= {f"mAP {name}": _mean(of.values()) for name, of in averages.items()}
        report["classes"] = [
            self._of_class(*ranked[one])
            | {"class": one, "average_precision": {name: of[one] for name, of in averages.items()}}
            for one in ranked
        ]
        report["background"] = self._background
        report["confusion"] = self._matrix(found, true, taken)
        return report | {"worst": self._worst(found, true, taken) if self.numbered else []}

    def _of_class(self, scores, right, wrong, positives):
        """What is told of a class but its average precision."""
        certain = scores >= self.least_score
        counts = positives, int(certain.sum()), int(right[certain].sum())
        told = dict(zip(("boxes", "found", "right"), counts, strict=True))
        told |= {name: share for name, (share,) in by_class(*([n] for n in counts)).items()}
        precision, recall = precision_recall(scores, right, wrong, positives)
        f1 = 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)
        best = int(f1.argmax()) if len(f1) else None
        told["best_f1"] = None if best is None else float(f1[best])
        told["best_score"] = None if best is None else float(np.sort(scores)[::-1][best])
        reached = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0)
        at = reached[np.searchsorted(recall, COCO_POINTS)]
        return told | {"precision_at_recall": at.tolist()}

    def _coco(self, true):
        """{class: COCO's average precision}; difficult boxes count as those of crowds, if not."""
        spared = ~self._counting(true)
        counted = _coco.count(Boxes.join(self.found).rows(), _without_value(true), spared)
        found = {one: float(of.average_precision().mean()) for one, of in counted.items()}
        return {one: found.get(one, 0.0) for one in self.classes}

    @property
    def _background(self):
        """The row and column of the confusion that stand for no box."""
        return self.background if self.background >= 0 else max(self.classes, default=-1) + 1

    def _matrix(self, found, true, taken):
        """Boxes by their true class (rows) and by the class that they were found as."""
        none, (rows, own) = self._background, taken.pairs
        labels = max((one.max(initial=-1) for one in (found.label, true.label)), default=-1)
        matrix = np.zeros((max(int(labels), none, *self.classes) + 1,) * 2, np.int64)
        np.add.at(matrix, (true.label[own], found.label[rows]), 1)
        np.add.at(matrix, (none, found.label[taken.extra]), 1)
        np.add.at(matrix, (true.label[taken.missed], none), 1)
        return matrix.tolist()

    def _worst(self, found, true, taken):
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

    def heading(self):
        return f"{self.blobs[0]} against {self.blobs[1]}: {self.samples} pictures"

    def facts(self, report):
        yield f"true boxes: {report['boxes']}, of {len(report['classes'])} classes"
        yield from super().facts(report)

    def sections(self, report, names=()):
        names = self._names(report, names)
        yield from _classes(report, names)
        yield from _confused(report, names)
        if worst := report["worst"]:
            rows = [tuple(str(one[kind]) for kind in _WRONG) for one in worst]
            numbers = [one["number"] for one in worst]
            yield Section("the pictures with most that is wrong", _WRONG, rows, 0, numbers)

    def _names(self, report, names):
        """The names of the classes, and of the background."""
        named = class_names(names, len(report["confusion"]))
        if not names or report["background"] >= len(names):
            named[report["background"]] = "background"
        return named

    def curves(self, report, names=()):
        """The best precision at each recall or a higher one, of each class."""
        names = self._names(report, names)
        found = {
            names[one["class"]]: (COCO_POINTS.tolist(), one["precision_at_recall"])
            for one in report["classes"][:MOST_CURVES]
        }
        return {"precision over recall": (found, "recall", "precision")} if found else {}


def _classes(report, names):
    """The Section about classes; of many, those that do worst."""
    classes, title = report["classes"], ""
    if len(classes) > MOST_SHOWN:
        title = f"the {MOST_SHOWN} classes that do worst"
        classes = sorted(classes, key=lambda one: one["average_precision"]["VOC2012"])[:MOST_SHOWN]
    rows = [
        (
            names[one["class"]],
            str(one["boxes"]),
            *(_share(one["average_precision"][name]) for name in (*AVERAGES, COCO)),
            *(_share(one[name]) for name in OF_A_CLASS),
        )
        for one in classes
    ]
    averages = [f"AP {name}" for name in (*AVERAGES, COCO)]
    yield Section(title, ("class", "boxes", *averages, *OF_A_CLASS), rows)


def _confused(report, names):
    """The Section about what is taken for what, above the least score."""
    matrix = report["confusion"]
    if len(matrix) <= MOST_CONFUSED:
        score, overlap = (number(report[name]) for name in ("least_score", "overlap_threshold"))
        title = f"found with a score from {score} on and an overlap from {overlap} on"
        title += " (a row for each true class, a column for each found)"
        cells = [(name, *map(str, row)) for name, row in zip(names, matrix, strict=True)]
        yield Section(title, ("", *names), cells, heat=True)


def _rows(batch, name, width):
    """The rows of a blob of boxes."""
    values = batch.blobs[name]
    if values.shape[-1] != width:
        raise NetError(
            f'the blob "{name}" has the shape {values.shape}, expected rows of {width} numbers, '
            "as layers of SSD make them"
        )
    return values.reshape(-1, width).astype(np.float64)


def _boxes(rows, first, value, box):
    """Boxes of rows whose columns 0 and 1 are image and class."""
    images, labels = rows[:, :2].astype(np.int64).T
    return Boxes(images + first, labels, rows[:, value], np.float32(rows[:, box : box + 4]))


def _without_value(boxes):
    """image, class, box"""
    return np.delete(boxes.rows(), 2, axis=1)


def _averages(ranked, rule):
    """{class: average precision} by a rule of SSD, of what `_ranked` gives."""
    return {
        one: average_precision(scores, right, positives, rule)
        for one, (scores, right, _, positives) in ranked.items()
    }


def _share(value):
    return "-" if value is None else f"{value:.4f}"


def _mean(values):
    values = list(values)
    return sum(values) / len(values) if values else None
