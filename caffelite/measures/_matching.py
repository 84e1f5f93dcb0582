"""Boxes found and true ones, image by image.

Boxes are (xmin, ymin, xmax, ymax) in one unit, whatever it is. Arrays of boxes found have the
columns image, class, score, box; those of true ones image, class, box.
"""

import numpy as np


def groups(keys, others):
    """(rows of the first, rows of the second) for each row of keys that the first has.

    Rows of both are in their order; those of the second may be none.
    """
    both, at = np.unique(np.concatenate([keys, others]), axis=0, return_inverse=True)
    at = at.reshape(-1)
    first = _rows_of(at[: len(keys)], len(both))
    second = _rows_of(at[len(keys) :], len(both))
    return [(a, b) for a, b in zip(first, second, strict=True) if len(a)]


def _rows_of(numbers, count):
    """The rows of each number from 0 to count - 1."""
    order = np.argsort(numbers, kind="stable")
    return np.split(order, np.cumsum(np.bincount(numbers, minlength=count))[:-1])
