"""How often the class with the highest score is the right one, and which is taken for which."""

import math
from collections import Counter

import numpy as np

from ..table import table
from ._exact import ExactSum
from ._pair import Pair
from .base import register

MOST_CLASSES = 2000  # that a confusion matrix is made of
MOST_CONFUSED = 20  # pairs of classes that are named
MOST_SHOWN = 20  # classes that are shown one by one

_OF_A_CLASS = ("class", "samples", "right", "share")


@register("accuracy")
class Accuracy(Pair):
    """Scores against labels: top-1, top-5, accuracy per class, which is taken for which."""

    compares = "classes"
    shown = ("top_1", "top_5", "mean_per_class", "cross_entropy")
    falling = ("cross_entropy",)
    axis, softmax = 1, False
    classes = None

    def __init__(self, first, second):
        super().__init__(first, second)
        self.ignored = set()
        self.hits = Counter()  # samples by k, whose label is among the k highest scores
        self.pairs = Counter()  # samples by (label, class that scores highest)
        self.cross_entropy = ExactSum()

    def take_options(self, layer):
        self.ignored |= set(layer.ignored_labels)
        self.axis = getattr(layer.options, "axis", self.axis)
        self.softmax |= bool(layer.applies)

    def count(self, first, second):
        scores, labels = first, second
        classes = self.classes = scores.shape[self.axis]
        outer = math.prod(scores.shape[: self.axis])
        scores = scores.reshape(outer, classes, -1).swapaxes(1, 2).reshape(-1, classes)
        labels = labels.reshape(-1).astype(np.int64)
        if self.ignored:
            counted = ~np.isin(labels, list(self.ignored))
            scores, labels = scores[counted], labels[counted]
        pairs, counts = np.unique(labels * classes + scores.argmax(1), return_counts=True)
        for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
            self.pairs[divmod(pair, classes)] += count
        own = np.take_along_axis(scores, labels[:, None], axis=1)
        others = (scores >= own).sum(axis=1) - 1  # ties count as wrong, as in Accuracy
        for k in self._tops():
            self.hits[k] += int((others < k).sum())
        shifted = (scores - own).astype(np.float64)
        self.cross_entropy.add(np.logaddexp.reduce(shifted, axis=1))

    def _tops(self):
        return [k for k in (1, 5) if k < self.classes or k == 1]

    def merge(self, other):
        self.classes = self.classes or other.classes
        self.samples += other.samples
        self.hits.update(other.hits)
        self.pairs.update(other.pairs)
        self.cross_entropy.merge(other.cross_entropy)

    def report(self):
        """All of it, for JSON; no confusion matrix of too many classes.

        Where no label counts there is no share of them, nor a mean: None.
        """
        labelled, right = [0] * self.classes, [0] * self.classes
        for (label, answer), count in self.pairs.items():
            labelled[label] += count
            if label == answer:
                right[label] = count
        total = sum(labelled)
        per_class = [r / n if n else None for r, n in zip(right, labelled, strict=True)]
        present = [share for share in per_class if share is not None]
        report = {"scores": self.blobs[0], "labels": self.blobs[1], "samples": self.samples}
        report |= {"counted": total, "classes": self.classes}
        report |= {f"top_{k}": _mean(self.hits[k], total) for k in self._tops()}
        report["mean_per_class"] = _mean(sum(present), len(present))
        if self.softmax:
            report["cross_entropy"] = _mean(float(self.cross_entropy.value), total)
        report |= {"labelled": labelled, "right": right, "per_class": per_class}
        return report | {"confused": self._confused(), "confusion": self._confusion()}

    def _confused(self):
        """[label, answer, samples] of the pairs that are confused most."""
        wrong = [(-count, pair) for pair, count in self.pairs.items() if pair[0] != pair[1]]
        return [[*pair, -count] for count, pair in sorted(wrong)[:MOST_CONFUSED]]

    def _confusion(self):
        """Samples by label (rows) and by the class with the highest score."""
        if self.classes > MOST_CLASSES:
            return None
        confusion = np.zeros((self.classes, self.classes), np.int64)
        for pair, count in self.pairs.items():
            confusion[pair] = count
        return confusion.tolist()

    def lines(self, names=()):
        report = self.report()
        yield f"{self.blobs[0]} against {self.blobs[1]}: {self.samples} samples"
        if report["counted"] != self.samples:
            yield f"labels that count: {report['counted']}"
        yield from super().lines()
        names = class_names(names, self.classes)
        counts = zip(report["labelled"], report["right"], report["per_class"], strict=True)
        rows = [
            (name, str(labelled), str(right), "-" if share is None else f"{share:.4f}")
            for name, (labelled, right, share) in zip(names, counts, strict=True)
        ]
        if len(rows) > MOST_SHOWN:
            yield from _worst(rows, report["confused"], names)
            return
        yield ""
        yield from table(_OF_A_CLASS, rows, left=1)
        yield ""
        yield "confusion (a row for each label, a column for each answer):"
        cells = [(n, *map(str, row)) for n, row in zip(names, report["confusion"], strict=True)]
        yield from table(("", *names), cells, left=1)


def _mean(total, count):
    return total / count if count else None


def class_names(names, count):
    """`count` names of classes: those given, then numbers."""
    return [*names[:count], *map(str, range(len(names), count))]


def _worst(rows, confused, names):
    """Of many classes, those that do worst, and the pairs that are confused most."""
    present = [row for row in rows if row[3] != "-"]
    yield ""
    yield f"the {MOST_SHOWN} classes that do worst:"
    yield from table(_OF_A_CLASS, sorted(present, key=lambda r: float(r[3]))[:MOST_SHOWN], left=1)
    yield ""
    yield "the pairs that are confused most:"
    pairs = [(names[label], names[answer], str(count)) for label, answer, count in confused]
    yield from table(("label", "answer", "samples"), pairs, left=2)
