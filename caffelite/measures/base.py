"""The contract of a measure, and the registry of measures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ..registry import Registry
from ..types import Array

MEASURES = Registry()
register = MEASURES.register


class Batch(NamedTuple):
    """What a net computed from one batch.

    `blobs` are arrays by name. Of a blob with a row for each sample, the first `count` rows are
    real, all where it is None: the last batch of a data set goes on with its first samples.
    """

    blobs: Mapping[str, Array]
    count: int | None = None  # type: ignore[assignment]  # a tuple has a count, too
    loss: float = math.nan

    @classmethod
    def run(cls, net, count=None):
        """Run the net forward on its next batch."""
        loss = net._forward(0, len(net.nodes) - 1)
        return cls({name: blob.data for name, blob in net.blobs.items()}, count, loss)

    def rows(self, name):
        """The rows of a blob that are of real samples."""
        return self.blobs[name][: self.count]


class Measure:
    """How well a net does, counted batch by batch.

    One class is one measure. A subclass is registered, declares facts, and fills in `add`, `merge`
    and `report`. What it keeps from batch to batch is its own affair, if it can be merged.

    compares
        a net has such a measure for each layer whose class says that it compares the same: one for
        the blobs in its bottoms 0 and 1
    shown
        which numbers of the report are shown in text and by a solver's tests
    falling
        those of them that are the better the lower they are
    replaces
        whether the tops of these layers have no means, since their shape is another in each batch
    """

    compares: str | None = None
    shown: tuple[str, ...] = ()
    falling: tuple[str, ...] = ()
    replaces: bool = False

    def __init__(self, first, second):
        self.blobs, self.tops = (first, second), set()
        self.samples = 0

    def take_options(self, layer):
        """Read from a layer that compares the two blobs how it does that."""

    def add(self, batch):
        """Take in a Batch."""
        raise NotImplementedError(f"{type(self).__name__}.add")

    def merge(self, other):
        """Take in what another one counted, as if its batches had been added here.

        The report is the same, to the bit, however batches are shared out. Sums of numbers with
        fractions are kept in an `ExactSum`.
        """
        raise NotImplementedError(f"{type(self).__name__}.merge")

    def report(self):
        """All that it found, as JSON can say it. There are samples by now."""
        raise NotImplementedError(f"{type(self).__name__}.report")

    def lines(self, names=()):
        """The report as lines of text; `names` are those of the classes, if known."""
        report = self.report()
        return [f"{name} = {number(report[name])}" for name in self.shown if name in report]

    def figures(self):
        """{name: array}: what a solver's tests log, and what its monitor can go by."""
        report = self.report() if self.samples else {}
        values = {name: report.get(name) for name in self.shown}
        return {f"{self.blobs[0]}/{k}": np.float64(v) for k, v in values.items() if v is not None}

    def shows(self):
        """The names of the figures that it may have."""
        return [f"{self.blobs[0]}/{name}" for name in self.shown]

    def rises(self, figure):
        """Whether the figure of that name is the better the higher it is."""
        return figure.rpartition("/")[2] not in self.falling


def number(value):
    """A number of a report as text."""
    return "-" if value is None else f"{value:.6g}"
