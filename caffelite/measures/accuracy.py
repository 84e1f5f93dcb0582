"""How often the class with the highest score is the right one, and which is taken for which."""

import math
from collections import Counter

import numpy as np

from ..layers.utility.softmax import Softmax
from ._by_class import KINDS_OF_MEANS, OF_A_CLASS, averages, by_class
from ._exact import ExactSum
from ._pair import Pair
from ._suspicious import Suspicious
from ._worst import Worst, by_sample
from .base import Section, number, register

MOST_CLASSES = 2000  # that a confusion matrix is made of
MOST_CONFUSED = 20  # pairs of classes that are named
MOST_SHOWN = 20  # classes that are shown one by one
SMALLEST = np.finfo(np.float32).tiny  # probabilities count as at least this, as in losses

_OF_WORST = ("loss", "number", "label", "answer", "of_label", "of_answer")
_OF_SUSPICIOUS = ("number", "label", "answer", "of_label", "of_answer")


@register("accuracy")
class Accuracy(Pair):
    """Scores against labels: top-1, top-5, precision, recall and F1, which is taken for which.

    Where single samples are known by their numbers, those with the highest loss are told, and those
    whose label is suspicious.
    """

    compares = "classes"
    shown: tuple[str, ...] = ("top_1", "top_5", "mean_per_class", "macro_f1", "cross_entropy")
    falling: tuple[str, ...] = ("cross_entropy",)
    axis, softmax, probabilities = 1, False, False
    classes = None

    def __init__(self, first, second):
        super().__init__(first, second)
        self.ignored = set()
        self.hits = Counter()  # samples by k, whose label is among the k highest scores
        self.pairs = Counter()  # samples by (label, class that scores highest)
        self.cross_entropy = ExactSum()
        self.worst, self.suspicious = Worst(), Suspicious()

    def take_options(self, layer):
        self.ignored |= set(layer.ignored_labels)
        self.axis = getattr(layer.options, "axis", self.axis)
        self.softmax |= bool(layer.applies)

    def take_maker(self, layer, bottoms):
        self.probabilities = layer.applies == Softmax.type

    def count(self, first, second, numbers):
        classes = self.classes = first.shape[self.axis]
        outer = math.prod(first.shape[: self.axis])
        scores = first.reshape(outer, classes, -1)
        labels = second.reshape(outer, 1, -1).astype(np.int64)
        counted = ~np.isin(labels, list(self.ignored))
        counted &= (labels >= 0) & (labels < classes)  # others, layers let in where they weigh 0
        if numbers is not None:
            places = labels.size // max(1, len(first))  # of each row of the first blob
            numbers = numbers.repeat(places)[counted.ravel()]
        labels[~counted] = 0
        answers = scores.argmax(axis=1)[:, None]
        own = np.take_along_axis(scores, labels, axis=1)
        others = (scores >= own).sum(axis=1, keepdims=True) - 1  # ties are wrong, as in Accuracy
        shifted = (scores - own).astype(np.float64)
        losses, highest = _log_sum_exp(shifted), np.take_along_axis(shifted, answers, axis=1)
        if self.probabilities and not self.softmax:
            logs = np.log(np.maximum(scores, SMALLEST, dtype=np.float64))
            losses = -np.take_along_axis(logs, labels, axis=1)
            highest = np.take_along_axis(logs, answers, axis=1) + losses
        columns = labels, answers, others, losses, highest
        labels, answers, others, losses, highest = (column[counted] for column in columns)
        pairs, counts = np.unique(labels * classes + answers, return_counts=True)
        for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
            self.pairs[divmod(pair, classes)] += count
        for k in self._tops():
            self.hits[k] += int((others < k).sum())
        self.cross_entropy.add(losses)
        if numbers is not None:
            self._note(numbers, labels, answers, losses, highest)

    def _note(self, numbers, labels, answers, losses, highest):
        """Keep the samples that stand out; `highest` is log p[answer] - log p[label]."""
        each, found = by_sample(losses, numbers)
        if len(found) < len(numbers):  # a label for each place: of which sample, is all that counts
            self.worst.add(each, found)
            return
        of_label, of_answer = np.exp(-losses), np.exp(highest - losses)
        self.worst.add(losses, numbers, labels, answers, of_label, of_answer)
        self.suspicious.add(numbers, labels, answers, of_label, of_answer, self.classes)

    def _tops(self):
        return [k for k in (1, 5) if k < self.classes or k == 1]

    def merge(self, other):
        self.classes = self.classes or other.classes
        self.samples += other.samples
        self.hits.update(other.hits)
        self.pairs.update(other.pairs)
        self.cross_entropy.merge(other.cross_entropy)
        self.worst.merge(other.worst)
        self.suspicious.merge(other.suspicious)

    def report(self):
        """All of it, for JSON; no confusion matrix of too many classes.

        Where no label counts there is no share of them, nor a mean: None.
        """
        labelled, answered, right = ([0] * self.classes for _ in range(3))
        for (label, answer), count in self.pairs.items():
            labelled[label] += count
            answered[answer] += count
            if label == answer:
                right[label] = count
        total = sum(labelled)
        shares = by_class(labelled, answered, right)
        means = averages(labelled, answered, shares)
        present = [share for share in shares["recall"] if share is not None]
        report = {"scores": self.blobs[0], "labels": self.blobs[1], "samples": self.samples}
        report |= {"counted": total, "classes": self.classes}
        report |= {f"top_{k}": _mean(self.hits[k], total) for k in self._tops()}
        report["mean_per_class"] = _mean(sum(present), len(present))
        report["macro_f1"] = means["macro"]["f1"]
        if self.softmax:
            report["cross_entropy"] = _mean(float(self.cross_entropy.value), total)
        report |= {"labelled": labelled, "answered": answered, "right": right}
        report |= {"per_class": shares["recall"], **shares, **means}
        report |= {"confused": self._confused(), "confusion": self._confusion()}
        report["worst"] = [dict(zip(_OF_WORST, row, strict=False)) for row in self.worst.rows]
        suspicious, more = self.suspicious.rows()
        report["suspicious"] = [dict(zip(_OF_SUSPICIOUS, row, strict=True)) for row in suspicious]
        return report | {"more_suspicious": more}

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

    def facts(self, report):
        yield from self.counted(report)
        yield from super().facts(report)

    def counted(self, report):
        """How many labels count, where these are not all."""
        if report["counted"] != self.samples:
            yield f"labels that count: {report['counted']}"

    def sections(self, report, names=()):
        names = class_names(names, self.classes)
        yield from _classes(report, names)
        yield from confused_and_samples(report, names, "samples")


def _classes(report, names):
    """The Sections about classes; of many, those that do worst."""
    counts = (map(str, report[name]) for name in ("labelled", "right"))
    shares = (map(share_text, report[name]) for name in OF_A_CLASS)
    rows = list(zip(names, *counts, *shares, strict=True))
    title = ""
    if len(rows) > MOST_SHOWN:
        title = f"the {MOST_SHOWN} classes that do worst"
        order = sorted(range(len(rows)), key=lambda k: report["recall"][k] or 0)
        rows = [rows[k] for k in order if report["labelled"][k]][:MOST_SHOWN]
    yield Section(title, ("class", "samples", "right", *OF_A_CLASS), rows)
    means = [(kind, *(share_text(report[kind][k]) for k in OF_A_CLASS)) for kind in KINDS_OF_MEANS]
    yield Section("", ("mean", *OF_A_CLASS), means)
    if len(names) <= MOST_SHOWN:
        cells = [(n, *map(str, row)) for n, row in zip(names, report["confusion"], strict=True)]
        title = "confusion (a row for each label, a column for each answer)"
        yield Section(title, ("", *names), cells, heat=True)


def confused_and_samples(report, names, counted):
    """The Sections about pairs of classes, of which so many are `counted`, and single samples."""
    if report["confused"]:
        rows = [(names[k], names[j], str(count)) for k, j, count in report["confused"]]
        title = "the pairs that are confused most"
        yield Section(title, ("label", "answer", counted), rows, left=2)
    if worst := report["worst"]:
        numbers = [one["number"] for one in worst]
        if "label" in worst[0]:
            header = "label", "answer", "loss"
            rows = [(*_names(one, names), number(one["loss"])) for one in worst]
        else:
            header, rows = ("loss",), [(number(one["loss"]),) for one in worst]
        title = "the samples with the highest loss"
        yield Section(title, header, rows, len(header) - 1, numbers)
    if suspicious := report["suspicious"]:
        more = report["more_suspicious"]
        title = "labels that look wrong: the net is sure of another class"
        title += f" (and {more} more)" * bool(more)
        header = "label", "answer", "p of label", "p of answer"
        rows = [
            (*_names(one, names), share_text(one["of_label"]), share_text(one["of_answer"]))
            for one in suspicious
        ]
        yield Section(title, header, rows, 2, [one["number"] for one in suspicious])


def _names(one, names):
    return names[one["label"]], names[one["answer"]]


def share_text(value):
    return "-" if value is None else f"{value:.4f}"


def _log_sum_exp(x):
    """log sum exp(x) along axis 1, which is kept."""
    highest = x.max(axis=1, keepdims=True)
    return highest + np.log(np.exp(x - highest).sum(axis=1, keepdims=True))


def _mean(total, count):
    return total / count if count else None


def class_names(names, count):
    """`count` names of classes: those given, then numbers."""
    return [*names[:count], *map(str, range(len(names), count))]
