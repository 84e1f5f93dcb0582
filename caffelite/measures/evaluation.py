"""How well a net does over a whole data set, each sample counted once."""

import math
from collections import Counter

import numpy as np

from ..errors import NetError
from ..layers.utility.split import Split

MOST_CLASSES = 2000  # that a confusion matrix is made of
MOST_CONFUSED = 20  # pairs of classes that are named


def data_set(net):
    """(number of samples, those in a batch) of the net's data layer, or None if not known."""
    for layer in net.layers:
        if layer.pass_size is not None:
            return layer.pass_size, layer.options.batch_size
    return None


def make_measures(net):
    """A Classification or Regression for each pair of blobs that the net's losses compare."""
    measures, origin = {}, {}
    for node in net.nodes:
        layer = node.layer
        bottoms = [origin.get(name, name) for name in node.bottom_names]
        if isinstance(layer, Split):
            origin.update(dict.fromkeys(node.top_names, bottoms[0]))
        elif layer.compares == "classes":
            made = measures.setdefault(tuple(bottoms[:2]), Classification(*bottoms[:2]))
            made.take_options(layer)
        elif layer.compares == "values":
            measures.setdefault(tuple(bottoms[:2]), Regression(*bottoms[:2]))
    return list(measures.values())


class _Measure:
    """What is counted while the net runs: two of its blobs, compared."""

    def __init__(self, first, second):
        self.first, self.second = first, second
        self.samples = 0

    def add(self, net, count):
        """Take in the first `count` samples of the batch that the net has just run."""
        first, second = (net.blobs[name].data[:count] for name in (self.first, self.second))
        if not np.isfinite(first).all():
            raise NetError(
                f'the blob "{self.first}" has values that are not finite, in sample '
                f"{self.samples} or soon after it"
            )
        self.samples += count
        self.count(first, second)


class Classification(_Measure):
    """Scores against labels: top-1, top-5, accuracy per class, which is taken for which."""

    axis, softmax = 1, False
    classes = None

    def __init__(self, first, second):
        super().__init__(first, second)
        self.ignored = set()

    def take_options(self, layer):
        """Read the classes' axis and the labels that do not count from an Accuracy or a loss."""
        self.ignored |= set(layer.ignored_labels)
        self.axis = getattr(layer.options, "axis", self.axis)
        self.softmax |= bool(layer.applies)

    def count(self, scores, labels):
        if self.classes is None:
            self.classes = scores.shape[self.axis]
            self.tops = [k for k in (1, 5) if k < self.classes or k == 1]
            self.hits = dict.fromkeys(self.tops, 0)
            self.pairs = Counter()  # samples by label * classes + the class that scores highest
            self.cross_entropy = 0.0
        outer = math.prod(scores.shape[: self.axis])
        scores = scores.reshape(outer, self.classes, -1).swapaxes(1, 2).reshape(-1, self.classes)
        labels = labels.reshape(-1).astype(np.int64)
        if self.ignored:
            counted = ~np.isin(labels, list(self.ignored))
            scores, labels = scores[counted], labels[counted]
        pairs, counts = np.unique(labels * self.classes + scores.argmax(1), return_counts=True)
        self.pairs.update(dict(zip(pairs.tolist(), counts.tolist(), strict=True)))
        own = np.take_along_axis(scores, labels[:, None], axis=1)
        others = (scores >= own).sum(axis=1) - 1  # ties count as wrong, as in Accuracy
        for k in self.tops:
            self.hits[k] += int((others < k).sum())
        shifted = (scores - own).astype(np.float64)
        self.cross_entropy += float(np.logaddexp.reduce(shifted, axis=1).sum())

    def report(self):
        """All of it, for JSON; no confusion matrix of too many classes."""
        labelled, right = [0] * self.classes, [0] * self.classes
        confused = []
        for pair, count in self.pairs.most_common():
            label, answer = divmod(pair, self.classes)
            labelled[label] += count
            if label == answer:
                right[label] = count
            elif len(confused) < MOST_CONFUSED:
                confused.append([label, answer, count])
        total = sum(labelled)
        per_class = [r / n if n else None for r, n in zip(right, labelled, strict=True)]
        present = [share for share in per_class if share is not None]
        report = {"scores": self.first, "labels": self.second, "samples": self.samples}
        report |= {"counted": total, "classes": self.classes}
        report |= {f"top_{k}": self.hits[k] / max(1, total) for k in self.tops}
        report["mean_per_class"] = sum(present) / max(1, len(present))
        if self.softmax:
            report["cross_entropy"] = self.cross_entropy / max(1, total)
        report |= {"labelled": labelled, "right": right, "per_class": per_class}
        return report | {"confused": confused, "confusion": self._confusion()}

    def _confusion(self):
        """Samples by label (rows) and by the class with the highest score."""
        if self.classes > MOST_CLASSES:
            return None
        confusion = np.zeros((self.classes, self.classes), np.int64)
        confusion.flat[list(self.pairs)] = list(self.pairs.values())
        return confusion.tolist()


class Regression(_Measure):
    """Values against targets: errors e = value - target, of each output and of all."""

    sums = 0

    def count(self, values, targets):
        values, targets = (x.reshape(len(x), -1).astype(np.float64) for x in (values, targets))
        error = values - targets
        terms = error, abs(error), error**2, targets, targets**2
        self.sums = self.sums + np.array([term.sum(axis=0) for term in terms])
        largest = abs(error).max(axis=0)
        self.largest = np.maximum(largest, getattr(self, "largest", largest))

    def report(self):
        """All of it, for JSON."""
        report = {"values": self.first, "targets": self.second, "samples": self.samples}
        report |= self._errors(slice(None))
        return report | {"per_output": [self._errors([k]) for k in range(self.sums.shape[1])]}

    def _errors(self, outputs):
        """The errors of some of the outputs."""
        sums = self.sums[:, outputs]
        count = self.samples * sums.shape[1]
        error, absolute, square, _, _ = sums.sum(axis=1)
        spread = (sums[4] - sums[3] ** 2 / self.samples).sum()
        return {
            "mean_error": float(error / count),
            "mean_absolute_error": float(absolute / count),
            "root_mean_square_error": float(np.sqrt(square / count)),
            "largest_error": float(self.largest[outputs].max()),
            "r2": float(1 - square / spread) if spread > 0 else None,
        }
