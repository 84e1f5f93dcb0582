"""The means of a net's loss and outputs over batches."""

import math

from ..errors import NetError
from ._exact import ExactSum
from .base import Measure, register


@register("classification")
class Means(Measure):
    """mean over batches of the loss and of each output, element by element.

    Tests of a solver ask it, whatever the layers compare; "classification" is what the eval_type of
    SSD calls that. Of no batches there are no outputs, and a loss that is no number.
    """

    def __init__(self, net, outputs=None):
        self.blobs = list(net.outputs if outputs is None else outputs)
        self.losses = {name for name in self.blobs if _is_loss(net, name)}
        self.batches = 0
        self._loss, self._totals = ExactSum(), {}

    def add(self, batch):
        self._loss.add([batch.loss])
        for name in self.blobs:
            values = batch.blobs[name]
            total = self._totals.setdefault(name, ExactSum())
            self._check(name, total, values.shape)
            total.add(values[None])
        self.batches += 1

    def merge(self, other):
        self._loss.merge(other._loss)
        for name, theirs in other._totals.items():
            total = self._totals.setdefault(name, ExactSum())
            self._check(name, total, theirs.high.shape)
            total.merge(theirs)
        self.batches += other.batches

    def _check(self, name, total, shape):
        if self.batches and total.high.shape != shape:
            raise NetError(
                f'the output "{name}" has the shape {shape} in batch {self.batches}, '
                f"expected {total.high.shape} as before: there is no mean of them; end the net "
                "with something of one shape, such as an Accuracy, or a Silence"
            )

    @property
    def loss(self):
        return float(self._loss.value) / self.batches if self.batches else math.nan

    def figures(self):
        return {name: total.value / self.batches for name, total in self._totals.items()}

    def report(self):
        outputs = {name: mean.tolist() for name, mean in self.figures().items()}
        return {"batches": self.batches, "loss": self.loss, "outputs": outputs}

    def heading(self):
        return f"{self.batches} batches"

    def shows(self):
        return self.blobs

    def rises(self, figure):
        return figure not in self.losses


def _is_loss(net, name):
    producer = next(node.layer for node in reversed(net.nodes) if name in node.top_names)
    return producer.role == "loss" or net.blob_loss_weights[name] != 0
