"""The contract of a measure, and the registry of measures."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..errors import NetError
from ..registry import Registry
from ..table import table
from ..types import Array

MEASURES = Registry()
register = MEASURES.register


class Batch(NamedTuple):
    """What a net computed from one batch.

    `blobs` are arrays by name. Of the `size` samples in the batch, the first `count` are real, all
    where it is None: the last batch of a data set goes on with its first samples. `first` is the
    number that the first of them has in its source, None where nobody asks which ones they are.
    `of_steps` are the names of blobs whose rows are steps of all samples, as recurrent nets say.
    """

    blobs: Mapping[str, Array]
    count: int | None = None  # type: ignore[assignment]  # a tuple has a count, too
    loss: float = math.nan
    first: int | None = None
    size: int | None = None
    of_steps: Container[str] = ()

    @classmethod
    def run(cls, net, count=None, first=None, size=None):
        """Run the net forward on its next batch."""
        loss = net._forward(0, len(net.nodes) - 1)
        blobs = {name: blob.data for name, blob in net.blobs.items()}
        return cls(blobs, count, loss, first, size, _of_steps(net))

    def rows(self, name):
        """The rows of a blob that are of real samples; each may have several.

        Where all samples of the batch are real, rows may be others, such as steps.
        """
        rows, each = self.blobs[name], self._each(name)
        if self.count is None or (self.count == self.size and not each):
            return rows
        if not each:
            kind = "steps" if name in self.of_steps else "rows"
            raise NetError(
                f'the blob "{name}" has {len(rows)} {kind} for a batch of {self.size} samples, of '
                f"which the data end behind {self.count}; expected as many rows for each sample, "
                "or a batch_size that divides the number of samples"
            )
        return rows[: self.count * each]

    def numbers(self, name):
        """Of each of these rows, the number of its sample, or None where it is not known."""
        each = self._each(name)
        if self.first is None or not each:
            return None
        return self.first + np.arange(len(self.rows(name))) // each

    def _each(self, name):
        """How many rows of a blob each sample has; 0 where rows are not those of samples."""
        if name in self.of_steps:
            return 0
        if self.size is None:
            return 1
        each, rest = divmod(len(self.blobs[name]), self.size)
        return 0 if rest else each


def _of_steps(net):
    """The names of blobs with a row for each step: of recurrent layers, and what is made of them.

    Where a later layer keeps the number of rows, these are taken for steps still.
    """
    found = set()
    for node in net.nodes:
        steps = {net.blobs[name].shape[0] for name in node.bottom_names if name in found}
        for name, blob in zip(node.top_names, node.top_blobs, strict=True):
            if node.layer.rows_are_steps or not steps.isdisjoint(blob.shape[:1]):
                found.add(name)
            else:
                found.discard(name)
    return found


class Section(NamedTuple):
    """A part of a report, as a table: `left` columns of text, then numbers.

    Where rows are about single samples, `numbers` are those that these have in their source; `heat`
    is set where cells of numbers are the darker the larger they are.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1
    numbers: Sequence[int] | None = None
    heat: bool = False

    def named(self, name):
        """The section with a first column `name(number)`, if it is about single samples."""
        if self.numbers is None:
            return self
        rows = [(name(k), *row) for k, row in zip(self.numbers, self.rows, strict=True)]
        return self._replace(header=("sample", *self.header), rows=rows, left=self.left + 1)


class Measure:
    """How well a net does, counted batch by batch.

    One class is one measure. A subclass is registered, declares facts, and fills in `add`, `merge`
    and `report`. What it keeps from batch to batch is its own affair, if it can be merged.

    compares
        a net has such a measure for each layer whose class says that it compares the same: one for
        the blobs in its bottoms 0 and 1
    where
        which of these layers it suits, in words behind "compares ..."; see `suits`
    eval_type
        the eval_type of a solver that asks for it [what it is registered as]
    shown
        which numbers of the report are shown in text and by a solver's tests
    falling
        those of them that are the better the lower they are
    replaces
        whether the tops of these layers have no means, since their shape is another in each batch
    """

    compares: str | None = None
    where: str = ""
    eval_type: str | None = None
    shown: tuple[str, ...] = ()
    falling: tuple[str, ...] = ()
    replaces: bool = False

    def __init__(self, first, second):
        self.blobs, self.tops = (first, second), set()
        self.samples = 0

    @classmethod
    def suits(cls, layer, shapes, maker):
        """Whether it is for such a layer, with bottoms of these shapes, the first by `maker`."""
        return True

    @property
    def reads(self):
        """The names of the blobs that it reads of a batch: no others need to outlast the pass."""
        return {*self.blobs, *self.tops}

    def take_options(self, layer):
        """Read from a layer that compares the two blobs how it does that."""

    def take_maker(self, layer, bottoms):
        """Read from the layer that makes the first of the two blobs, of bottoms of these names."""

    def take_threshold(self, threshold):
        """Take the score, or None, from which on answers count in the report."""

    def batch_size(self, net):
        """How many samples the net's batches have, for sources that do not tell."""
        return len(net.blobs[self.blobs[1]].data)

    def take_tests(self, param):
        """Read from a solver's options how its tests show it."""

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

    def heading(self):
        """What is compared, in a line."""
        return f"{self.blobs[0]} against {self.blobs[1]}: {self.samples} samples"

    def facts(self, report):
        """The numbers of the report that are shown, as lines of text."""
        return [f"{name} = {number(report[name])}" for name in self.shown if name in report]

    def sections(self, report, names=()):
        """The rest of the report, as Sections; `names` are those of the classes, if known."""
        return []

    def marks(self, number):
        """[((ymin, xmin, ymax, xmax), color)] of boxes to draw into the picture of a sample.

        They are in fractions of its sides; the color is that of a label, or -1 for white.
        """
        return []

    def curves(self, report, names=()):
        """{title: (curves, x, y)}: pictures of it, as `pictures.unit_curves.svg` draws them."""
        return {}

    def lines(self, names=(), sample=str, report=None):
        """The report as lines of text; `sample` gives the name of a sample from its number."""
        report = self.report() if report is None else report
        yield self.heading()
        yield from self.facts(report)
        for section in self.sections(report, names):
            yield ""
            if section.title:
                yield f"{section.title}:"
            section = section.named(sample)
            yield from table(section.header, section.rows, section.left)

    def figures(self):
        """{name: array}: what a solver's tests log, and what its monitor can go by."""
        report = self.report() if self.samples else {}
        values = {name: report.get(name) for name in self.shown}
        return {f"{self.blobs[0]}/{k}": np.float64(v) for k, v in values.items() if v is not None}

    def details(self):
        """{name: number}: what a solver's tests log before these, each in a line "NAME: NUMBER"."""
        return {}

    def shows(self):
        """The names of the figures that it may have."""
        return [f"{self.blobs[0]}/{name}" for name in self.shown]

    def rises(self, figure):
        """Whether the figure of that name is the better the higher it is."""
        return figure.rpartition("/")[2] not in self.falling


def number(value):
    """A number of a report as text."""
    return "-" if value is None else f"{value:.6g}"
