"""Single samples that stand out, by their numbers in the source."""

import numpy as np

MOST_NAMED = 20  # samples that are told of, of each kind


class Worst:
    """The samples that a net does worst on: rows (how badly, number, ...); of equals, the first."""

    def __init__(self):
        self.rows = []

    def add(self, badness, numbers, *more):
        """Take in arrays: how badly, the samples' numbers, and what else to keep of each."""
        worst = np.argsort(-badness, kind="stable")[:MOST_NAMED]
        columns = (column[worst].tolist() for column in (badness, numbers, *more))
        self._keep(zip(*columns, strict=True))

    def merge(self, other):
        self._keep(other.rows)

    def _keep(self, rows):
        self.rows = sorted([*self.rows, *rows], key=lambda row: (-row[0], row[1]))[:MOST_NAMED]


def by_sample(values, numbers):
    """(mean of the values of each sample, its number) of values in the order of their numbers."""
    found, starts, counts = np.unique(numbers, return_index=True, return_counts=True)
    return np.add.reduceat(values, starts) / counts if len(found) else values[:0], found
