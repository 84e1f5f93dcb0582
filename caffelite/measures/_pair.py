"""What measures share that compare two blobs of a net, row by row."""

import numpy as np

from ..errors import NetError
from .base import Measure


class Pair(Measure):
    """Scores or values against what they should be; a subclass fills in `count`."""

    def add(self, batch):
        first, second = (batch.rows(name) for name in self.blobs)
        if not np.isfinite(first).all():
            raise NetError(
                f'the blob "{self.blobs[0]}" has values that are not finite, in sample '
                f"{self.samples} or soon after it"
            )
        self.samples += len(first)
        self.count(first, second, batch.numbers(self.blobs[0]))

    def count(self, first, second, numbers):
        """Take in the rows of both blobs; `numbers` are those of their samples, if known."""
        raise NotImplementedError(f"{type(self).__name__}.count")
