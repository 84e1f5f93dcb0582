"""How far values are from their targets."""

import numpy as np

from ._exact import ExactSum
from ._pair import Pair
from ._worst import Worst, by_sample
from .base import Section, number, register

MOST_SHOWN = 20  # outputs that are shown one by one

_SIZE = "root_mean_square_error"
_ERRORS = ("mean_error", "mean_absolute_error", "root_mean_square_error", "largest_error", "r2")


@register("regression")
class Regression(Pair):
    """e = value - target, of each output and of all: means of e, |e| and e^2, largest |e|, R^2."""

    compares = "values"
    shown = _ERRORS
    falling = _ERRORS[:-1]

    def __init__(self, first, second):
        super().__init__(first, second)
        self.sums, self.largest, self.worst = ExactSum(), 0.0, Worst()

    def count(self, first, second, numbers):
        values, targets = (x.reshape(len(x), -1).astype(np.float64) for x in (first, second))
        error = values - targets
        terms = error, abs(error), error**2, targets, targets**2
        self.sums.add(np.stack(terms, axis=1))
        self.largest = np.maximum(self.largest, abs(error).max(axis=0))
        if numbers is not None:
            each, found = by_sample((error**2).mean(axis=1), numbers)
            self.worst.add(np.sqrt(each), found)

    def merge(self, other):
        self.samples += other.samples
        self.sums.merge(other.sums)
        self.largest = np.maximum(self.largest, other.largest)
        self.worst.merge(other.worst)

    def report(self):
        sums = self.sums.value
        report = {"values": self.blobs[0], "targets": self.blobs[1], "samples": self.samples}
        report |= self._errors(sums, slice(None))
        report["per_output"] = [self._errors(sums, [k]) for k in range(sums.shape[1])]
        rows = [dict(zip((_SIZE, "number"), row, strict=True)) for row in self.worst.rows]
        return report | {"worst": rows}

    def _errors(self, sums, outputs):
        """The errors of some of the outputs."""
        sums = sums[:, outputs]
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

    def sections(self, report, names=()):
        outputs = report["per_output"]
        if 1 < len(outputs) <= MOST_SHOWN:
            rows = [(str(k), *(number(o[name]) for name in _ERRORS)) for k, o in enumerate(outputs)]
            yield Section("", ("output", *_ERRORS), rows)
        if worst := report["worst"]:
            rows = [(number(one[_SIZE]),) for one in worst]
            numbers = [one["number"] for one in worst]
            yield Section("the samples with the largest errors", (_SIZE,), rows, 0, numbers)
