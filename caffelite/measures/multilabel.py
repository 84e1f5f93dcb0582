"""How well labels are told of which a sample may have several, or none."""

import numpy as np

from ..errors import NetError
from ._exact import ExactSum
from ._pair import Pair
from ._worst import Worst, by_sample
from .accuracy import class_names
from .base import Section, number, register

MOST_KEPT = 50_000_000  # scores; they and their targets take 250 MB
MOST_SHOWN = 100  # labels that are shown one by one

_OF_A_LABEL = ("average_precision", "precision", "recall", "f1", "best_threshold", "best_f1")
_OF_WORST = ("loss", "number", "label", "target", "probability")


@register("multilabel")
class MultiLabel(Pair):
    """Scores against targets of 0 or 1: of each label average precision, F1, the best threshold.

    p = sigmoid(score); precision, recall and F1 are those of p >= 0.5, the best threshold is the p
    from which on F1 is highest. Labels are on axis 1, all other axes are places that count alike.
    Labels without a positive target are in no mean. Where a target that counts is not 0 or 1, they
    are no labels, and only the cross entropy is told.
    """

    compares = "multilabel"
    shown = ("mean_average_precision", "macro_f1", "micro_f1", "all_right", "cross_entropy")
    falling = ("cross_entropy",)
    labels = None

    def __init__(self, first, second):
        super().__init__(first, second)
        self.ignored = set()
        self.cross_entropy, self.counted = ExactSum(), 0
        self.kept = []  # (scores, targets), float32 and int8, places x labels; -1 does not count
        self.are_labels, self.all_right, self.places = True, 0, 0
        self.worst = Worst()

    def take_options(self, layer):
        self.ignored |= set(layer.ignored_labels)

    def count(self, first, second, numbers):
        x, t = (_by_label(values, first.shape) for values in (first, second))
        self.labels = x.shape[1]
        counted = ~np.isin(np.trunc(t), list(self.ignored))
        losses = np.logaddexp(0, x.astype(np.float64)) - x.astype(np.float64) * t
        losses[~counted] = 0
        self.cross_entropy.add(losses.reshape(-1))
        self.counted += int(counted.sum())
        self._keep(x, t, counted)
        if numbers is not None and len(x):
            self._note(losses, x, t, numbers.repeat(len(x) // len(numbers)))

    def _keep(self, x, t, counted):
        self.are_labels &= bool(np.isin(t[counted], (0, 1)).all())
        if not self.are_labels:
            self.kept = []
            return
        if self.places * self.labels + x.size > MOST_KEPT:
            raise NetError(
                f'"{self.blobs[0]}" against "{self.blobs[1]}": more than {MOST_KEPT} scores, of '
                "which the average precision would be taken; test fewer samples: --iterations"
            )
        self.kept.append((x.astype(np.float32), np.where(counted, t, -1).astype(np.int8)))
        self.places += len(x)
        right = ((x >= 0) == (t == 1)) | ~counted
        self.all_right += int(right.all(axis=1).sum())

    def _note(self, losses, x, t, numbers):
        """Keep the samples with the highest loss, and of each the label that adds most to it."""
        each, found = by_sample(losses.sum(axis=1), numbers)
        if len(found) < len(numbers):
            self.worst.add(each, found)
            return
        label = losses.argmax(axis=1)
        at = np.arange(len(x)), label
        self.worst.add(each, found, label, t[at], _sigmoid(x[at].astype(np.float64)))

    def merge(self, other):
        self.labels = self.labels or other.labels
        self.samples += other.samples
        self.cross_entropy.merge(other.cross_entropy)
        self.counted += other.counted
        self.are_labels &= other.are_labels
        self.kept = [*self.kept, *other.kept] if self.are_labels else []
        self.places += other.places
        self.all_right += other.all_right
        self.worst.merge(other.worst)

    def report(self):
        report = {"scores": self.blobs[0], "targets": self.blobs[1], "samples": self.samples}
        report |= {"labels": self.labels, "counted": self.counted}
        loss = float(self.cross_entropy.value)
        report["cross_entropy"] = loss / self.counted if self.counted else None
        if self.are_labels:
            x, t = (np.concatenate(parts) for parts in zip(*self.kept, strict=True))
            per_label = [_of_label(*columns) for columns in zip(x.T, t.T, strict=True)]
            report["mean_average_precision"] = _mean(per_label, "average_precision")
            report["macro_f1"] = _mean(per_label, "f1")
            report["micro_f1"] = _f1(t == 1, (x >= 0) & (t >= 0))
            report["all_right"] = self.all_right / self.places
            report["per_label"] = per_label
        report["worst"] = [dict(zip(_OF_WORST, row, strict=False)) for row in self.worst.rows]
        return report

    def facts(self, report):
        yield from super().facts(report)
        if not self.are_labels:
            yield "targets are not all 0 or 1: they are no labels"

    def sections(self, report, names=()):
        names = class_names(names, self.labels)
        if self.are_labels and self.labels <= MOST_SHOWN:
            rows = [
                (name, str(one["positive"]), *(number(one[k]) for k in _OF_A_LABEL))
                for name, one in zip(names, report["per_label"], strict=True)
            ]
            yield Section("", ("label", "positive", *_OF_A_LABEL), rows)
        if worst := report["worst"]:
            header, rows = ("loss",), [(number(one["loss"]),) for one in worst]
            if self.are_labels and "label" in worst[0]:
                header = "label that adds most", "target", "p", "loss"
                rows = [
                    (names[one["label"]], number(one["target"]), number(one["probability"]), *row)
                    for one, row in zip(worst, rows, strict=True)
                ]
            title, numbers = "the samples with the highest loss", [one["number"] for one in worst]
            yield Section(title, header, rows, int(len(header) > 1), numbers)


def _by_label(values, shape):
    """places x labels, of values as many as fill `shape`."""
    labels = shape[1] if len(shape) > 1 else 1
    return values.reshape(len(values), labels, -1).swapaxes(1, 2).reshape(-1, labels)


def _sigmoid(x):
    return np.exp(-np.logaddexp(0, -x))


def _of_label(x, t):
    """What is told of one label, of its scores and targets."""
    x, t = x[t >= 0].astype(np.float64), t[t >= 0] == 1
    found = {"positive": int(t.sum()), "counted": len(t)}
    if not found["positive"]:  # there is nothing that could be found
        return found | dict.fromkeys(_OF_A_LABEL)
    answered = x >= 0
    right = int((answered & t).sum())
    found["precision"] = right / int(answered.sum()) if answered.any() else None
    found |= {"recall": right / found["positive"], "f1": _f1(t, answered)}
    order = np.argsort(-x, kind="stable")
    x, t = x[order], t[order]
    ends = np.flatnonzero(np.append(x[1:] != x[:-1], True))  # equal scores are found together
    right, answered = np.cumsum(t)[ends], ends + 1
    precision, recall = right / answered, right / found["positive"]
    found["average_precision"] = float(np.diff(recall, prepend=0) @ precision)
    f1 = 2 * right / (found["positive"] + answered)
    best = int(f1.argmax())
    below = x[ends[best + 1]] if best + 1 < len(ends) else -np.inf
    found["best_threshold"] = float(_sigmoid((x[ends[best]] + below) / 2))
    return found | {"best_f1": float(f1[best])}


def _f1(targets, answers):
    count = int(targets.sum() + answers.sum())
    return 2 * int((targets & answers).sum()) / count if count else None


def _mean(per_label, name):
    values = [one[name] for one in per_label if one[name] is not None]
    return sum(values) / len(values) if values else None
