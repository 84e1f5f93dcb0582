"""The means of a net's loss and outputs over batches."""

import math

import numpy as np

from ..errors import NetError


class Means:
    """What `run` gives on average; of no runs, no outputs, and a loss that is no number."""

    def __init__(self, net):
        self.net, self.batches = net, 0
        self._loss, self._totals = 0.0, {}

    def run(self):
        """Run the net forward, and take in its loss and its outputs."""
        self._loss += self.net._forward(0, len(self.net.layers) - 1)
        for name in self.net.outputs:
            values = self.net.blobs[name].data
            total = self._totals.setdefault(name, np.zeros(values.shape))
            if total.shape != values.shape:
                raise NetError(
                    f'the output "{name}" has the shape {values.shape} in batch {self.batches}, '
                    f"expected {total.shape} as before: there is no mean of them; end the net with "
                    "something of one shape, such as an Accuracy, or a Silence"
                )
            total += values
        self.batches += 1

    @property
    def loss(self):
        return self._loss / self.batches if self.batches else math.nan

    @property
    def outputs(self):
        """{name: array}"""
        return {name: total / self.batches for name, total in self._totals.items()}
