"""Boxes found and true ones, image by image.

Boxes are (xmin, ymin, xmax, ymax) in one unit, whatever it is. Arrays of boxes found have the
columns image, class, score, box; those of true ones image, class, box.
"""

import numpy as np


def groups(keys, others):
    """(rows of the first, rows of the second) for each row of keys that the first has.

    Rows of both are in their order; those of the second may be none.
    """
    numbers = np.zeros(len(keys) + len(others), int)
    for column in np.concatenate([keys, others]).T:
        _, at = np.unique(column, return_inverse=True)
        _, numbers = np.unique(numbers * (at.max(initial=0) + 1) + at, return_inverse=True)
    count = numbers.max(initial=-1) + 1
    first, second = (_rows_of(own, count) for own in np.split(numbers, [len(keys)]))
    return [(a, b) for a, b in zip(first, second, strict=True) if len(a)]


def _rows_of(numbers, count):
    """The rows of each number from 0 to count - 1."""
    order = np.argsort(numbers, kind="stable")
    return np.split(order, np.cumsum(np.bincount(numbers, minlength=count))[:-1])
