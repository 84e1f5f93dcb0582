"""What measures of detectors share: boxes found of each class, of which some are right."""

from collections import Counter

import numpy as np

from ..errors import NetError, SolverError, did_you_mean
from ._average_precision import COCO_POINTS, RULES, average_precision, precision_recall
from ._by_class import OF_A_CLASS, by_class
from .accuracy import class_names
from .base import Measure, Section

MOST_KEPT = 50_000_000  # boxes found; they take 2 GB
MOST_SHOWN = 100  # classes that are shown one by one
MOST_CURVES = 40
AVERAGES = {"VOC2007": "11point", "VOC2012": "MaxIntegral", "Integral": "Integral"}


def check_rule(param):
    """Raise a SolverError for an `ap_version` that there is not, where tests go by it."""
    if param.eval_type == Ranked.eval_type and param.ap_version not in RULES:
        hint = did_you_mean(param.ap_version, RULES) or f"; there are {', '.join(RULES)}"
        raise SolverError(f'ap_version: unknown "{param.ap_version}"{hint}')


class Ranked(Measure):
    """Boxes found, each right, wrong or neither, and how many there are to be found.

    Of each class the average precision by the rules of VOC2007, VOC2012 and SSD; mAP is the mean
    over the classes, those without a true box included, as in SSD. Precision and recall are those
    of the boxes whose score reaches `least_score`. Tests of a solver show mAP by its `ap_version`.
    """

    eval_type = "detection"
    replaces = True
    shown = tuple(f"mAP {name}" for name in AVERAGES)
    least_score = 0.3
    rule, per_class = "Integral", False

    def __init__(self, first, second):
        super().__init__(first, second)
        self.positives = Counter()  # by class; 0 where none is to be found
        self.judged = []  # rows of class, score, right, wrong
        self.kept = 0

    def take_threshold(self, threshold):
        if threshold is not None:
            self.least_score = threshold

    def take_tests(self, param):
        check_rule(param)
        self.rule, self.per_class = param.ap_version, param.show_per_class_result

    def take(self, positives, judged):
        """Take in {class: boxes to be found}, and rows of class, score, right, wrong."""
        self.kept += len(judged)
        if self.kept > MOST_KEPT:
            raise NetError(
                f'"{self.blobs[0]}" against "{self.blobs[1]}": more than {MOST_KEPT} boxes were '
                "found; test fewer samples, or let the net keep fewer: keep_top_k"
            )
        self.positives.update(positives)
        self.judged.append(judged)

    def merge(self, other):
        self.positives.update(other.positives)
        self.judged += other.judged
        self.samples += other.samples
        self.kept += other.kept

    def ranked(self):
        """{class: (scores, right, wrong, positives)}; boxes found that are neither are left out."""
        rows = np.concatenate([np.zeros((0, 4)), *self.judged])
        rows = rows[(rows[:, 2:] != 0).any(axis=1)]
        found = {}
        for one, positives in sorted(self.positives.items()):
            _, scores, right, wrong = rows[rows[:, 0] == one].T
            found[one] = scores, right == 1, wrong == 1, positives
        return found

    def figures(self):
        averages = _averages(self.ranked(), self.rule)
        return {name: np.float64(mean(averages.values())) for name in self.shows() if averages}

    def details(self):
        averages = _averages(self.ranked(), self.rule) if self.per_class else {}
        return {f"class{one}": np.float64(value) for one, value in averages.items()}

    def shows(self):
        return sorted(self.tops)[:1]

    def rises(self, figure):
        return True

    def averages(self, ranked):
        """{name of a rule: {class: average precision}}"""
        return {name: _averages(ranked, rule) for name, rule in AVERAGES.items()}

    def report(self):
        ranked = self.ranked()
        averages = self.averages(ranked)
        report = {"found": self.blobs[0], "true": self.blobs[1], "samples": self.samples}
        report |= {"boxes": sum(self.positives.values()), "least_score": self.least_score}
        report |= {f"mAP {name}": mean(of.values()) for name, of in averages.items()}
        report["classes"] = [
            self._of_class(*ranked[one])
            | {"class": one, "average_precision": {name: of[one] for name, of in averages.items()}}
            for one in ranked
        ]
        return report

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

    def heading(self):
        return f"{self.blobs[0]} against {self.blobs[1]}: {self.samples} pictures"

    def facts(self, report):
        yield f"true boxes: {report['boxes']}, of {len(report['classes'])} classes"
        yield from super().facts(report)

    def names(self, report, names):
        """The names of the classes, by their labels."""
        return class_names(names, 1 + max((one["class"] for one in report["classes"]), default=-1))

    def sections(self, report, names=()):
        names = self.names(report, names)
        classes, title = report["classes"], f"of a score from {report['least_score']:g} on"
        if len(classes) > MOST_SHOWN:
            title = f"the {MOST_SHOWN} classes that do worst, {title}"
            worst_first = sorted(classes, key=lambda one: one["average_precision"]["VOC2012"])
            classes = worst_first[:MOST_SHOWN]
        rules = list(classes[0]["average_precision"]) if classes else []
        rows = [
            (
                *(names[one["class"]], str(one["boxes"])),
                *(_share(one["average_precision"][name]) for name in rules),
                *(_share(one[name]) for name in OF_A_CLASS),
            )
            for one in classes
        ]
        header = "class", "boxes", *(f"AP {name}" for name in rules), *OF_A_CLASS
        yield Section(f"classes, and precision and recall {title}", header, rows)

    def curves(self, report, names=()):
        """The best precision at each recall or a higher one, of each class."""
        names = self.names(report, names)
        found = {
            names[one["class"]]: (COCO_POINTS.tolist(), one["precision_at_recall"])
            for one in report["classes"][:MOST_CURVES]
        }
        return {"precision over recall": (found, "recall", "precision")} if found else {}


def rows_of(batch, name, width):
    """The rows of a blob of boxes, in double precision."""
    values = batch.blobs[name]
    if values.shape[-1] != width:
        raise NetError(
            f'the blob "{name}" has the shape {values.shape}, expected rows of {width} numbers, '
            "as layers of SSD make them"
        )
    return values.reshape(-1, width).astype(np.float64)


def mean(values):
    """Their mean, or None of none."""
    values = list(values)
    return sum(values) / len(values) if values else None


def _averages(ranked, rule):
    """{class: average precision} by a rule of SSD, of what `ranked` gives."""
    return {
        one: average_precision(scores, right, positives, rule)
        for one, (scores, right, _, positives) in ranked.items()
    }


def _share(value):
    return "-" if value is None else f"{value:.4f}"
