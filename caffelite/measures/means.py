"""The means of a net's loss and outputs over batches."""

import math

import numpy as np

from ..errors import NetError
from ._exact import ExactSum
from .base import Measure, register


@register("classification")
class Means(Measure):
    """mean over batches of the loss and of each output, element by element.

    Batches that say how many samples they have count by these; where an output has a row for each
    sample, a row that the last batch lacks has the mean of the batches before. Tests of a solver
    ask it, whatever the layers compare; "classification" is what the eval_type of SSD calls that.
    Of no batches there are no outputs, and a loss that is no number.
    """

    tops = ()

    def __init__(self, net, outputs=None):
        self.blobs = list(net.outputs if outputs is None else outputs)
        self.losses = {name for name in self.blobs if _is_loss(net, name)}
        self.batches = 0
        self._weight = 0  # of all batches: their number, or that of their samples
        self._loss, self._totals, self._missing = ExactSum(), {}, {}

    def add(self, batch):
        weight = batch.count or 1
        self._loss.add([np.float64(batch.loss) * weight])
        for name in self.blobs:
            values = np.float64(batch.blobs[name])
            total = self._totals.setdefault(name, ExactSum())
            shape = total.high.shape
            if batch.count and _lacks_rows(values.shape, shape):
                values = self._filled_up(name, values, shape, weight)
            self._check(name, total, values.shape)
            total.add(values[None] * weight)
        self.batches += 1
        self._weight += weight

    def _filled_up(self, name, values, shape, weight):
        """The rows of a smaller batch, and of those that it lacks zeros, which do not count."""
        filled = np.zeros(shape)
        filled[: len(values)] = values
        missing = np.zeros(shape)
        missing[len(values) :] = weight
        self._missing[name] = self._missing.get(name, 0) + missing
        return filled

    def merge(self, other):
        self._loss.merge(other._loss)
        for name, theirs in other._totals.items():
            total = self._totals.setdefault(name, ExactSum())
            self._check(name, total, theirs.high.shape)
            total.merge(theirs)
        self.batches += other.batches
        self._weight += other._weight
        for name, theirs in other._missing.items():
            self._missing[name] = self._missing.get(name, 0) + theirs

    def _check(self, name, total, shape):
        if self.batches and total.high.shape != shape:
            raise NetError(
                f'the output "{name}" has the shape {shape} in batch {self.batches}, '
                f"expected {total.high.shape} as before: there is no mean of them; end the net "
                "with something of one shape, such as an Accuracy, or a Silence; of the rows that "
                'DetectionEvaluate makes, eval_type: "detection" in the solver gives the mAP'
            )

    @property
    def loss(self):
        return float(self._loss.value) / self._weight if self._weight else math.nan

    def figures(self):
        return {
            name: total.value / (self._weight - self._missing.get(name, 0))
            for name, total in self._totals.items()
        }

    def report(self):
        outputs = {name: mean.tolist() for name, mean in self.figures().items()}
        return {"batches": self.batches, "loss": self.loss, "outputs": outputs}

    def heading(self):
        return f"{self.batches} batches"

    def shows(self):
        return self.blobs

    def rises(self, figure):
        return figure not in self.losses


def _lacks_rows(found, before):
    return len(found) > 0 and found[1:] == before[1:] and found[:1] < before[:1]


def _is_loss(net, name):
    producer = next(node.layer for node in reversed(net.nodes) if name in node.top_names)
    return producer.role == "loss" or net.blob_loss_weights[name] != 0
