"""Sums that do not depend on the order of their terms."""

import numpy as np


class ExactSum:
    """A sum of arrays of one shape, and beside it the sum of what rounding took from it.

    Together they hold twice the digits of a float, so that merged halves give the bits that one
    pass gives.  Ogita, Rump, Oishi 2005, Accurate sum and dot product
    """

    def __init__(self):
        self.high = self.low = np.float64(0)

    def add(self, terms):
        """Add an array of terms, along its first axis."""
        terms = np.asarray(terms, np.float64)
        while len(terms) > 1:
            half = len(terms) // 2
            sums = self._add_exactly(terms[:half], terms[half : 2 * half])
            terms = np.concatenate([sums, terms[2 * half :]])
        for term in terms:
            (self.high,) = self._add_exactly(self.high[None], term[None])

    def merge(self, other):
        self.add(other.high[None])
        self.low = self.low + other.low

    def _add_exactly(self, a, b):
        """a + b, rounded; what that takes from them goes to `low`."""
        with np.errstate(invalid="ignore", over="ignore"):  # of infinities, see `value`
            total = a + b
            part = total - a
            self.low = self.low + ((a - (total - part)) + (b - part)).sum(axis=0)
        return total

    @property
    def value(self):
        """The sum, rounded once."""
        return self.high + np.where(np.isfinite(self.low), self.low, 0)
