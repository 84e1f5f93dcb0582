"""Find the blocks that a net repeats: n boxes in a row that are like the n boxes before them."""

import numpy as np

LEAST = 3  # boxes in a block; shorter ones are as quickly read unfolded
LONGEST = 200


def repeats(signatures, cuts):
    """[(first, period, count)]: `count` blocks of `period` boxes from box `first` on, none twice.

    Of two that overlap, the one with more blocks is kept, or, where that saves far fewer boxes,
    the one with longer blocks. Where a repetition could start at several boxes, it starts where it
    cuts the fewest blobs: `cuts[i]` go from a box before i to box i or a later one.
    """
    numbers = {}
    codes = np.array([numbers.setdefault(s, len(numbers)) for s in signatures])
    found = [
        _aligned(start, length, period, cuts)
        for period in range(LEAST, min(len(codes) // 2, LONGEST) + 1)
        for start, length in _runs(codes[period:] == codes[:-period])
        if length >= period
    ]
    free, kept = np.ones(len(codes), bool), []
    for first, period, count in sorted(found, key=lambda f: (-(f[2] - 1) * f[1] ** 0.5, f[1])):
        boxes = slice(first, first + period * count)
        if free[boxes].all():
            free[boxes] = False
            kept.append((first, period, count))
    return sorted(kept)


def _runs(same):
    """(start, length) of each run of trues."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]])))
    return zip(steps[::2].tolist(), (steps[1::2] - steps[::2]).tolist(), strict=True)


def _aligned(start, length, period, cuts):
    """The repetition in `length` boxes, from `start` on, that are like those a period later."""
    count, spare = divmod(length + period, period)
    ends = [cuts[first] + cuts[first + count * period] for first in range(start, start + spare + 1)]
    return start + int(np.argmin(ends)), period, count
