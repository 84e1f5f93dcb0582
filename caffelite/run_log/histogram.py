"""How values are spread: a histogram, and what stands beside it."""

import numpy as np

BINS = 64
PIECE = 2**20  # values looked at together
LARGE = 1e15  # values beyond it are scaled: their squares and differences would overflow


def histogram(values):
    """{shape, count, not_finite, min, max, mean, std, zeros, histogram} of an array.

    "histogram" has the number of finite values in each of BINS equal parts from "min" to "max".
    What is not finite does not count in the others; where nothing is, they are left out.
    """
    told = {"shape": list(values.shape), "count": int(values.size)}
    parts = [(p.size, p.min(), p.max(), np.count_nonzero(p)) for p in _finite(values) if p.size]
    counts, least, most, others = zip(*parts, strict=True) if parts else [()] * 4
    told["not_finite"] = told["count"] - sum(counts)
    if not parts:
        return told
    low, high = float(min(least)), float(max(most))
    unit = unit_of(low, high)
    ends = low / unit, high / unit
    mean = sum(float(p.sum(dtype=np.float64)) for p in _finite(values, unit)) / sum(counts)
    heights, squares = np.zeros(BINS, int), 0.0
    for part in _finite(values, unit):
        heights += np.histogram(part, BINS, ends)[0]
        squares += float(np.square(part - mean, dtype=np.float64).sum())
    return told | {
        "min": low,
        "max": high,
        "mean": mean * unit,
        "std": (squares / sum(counts)) ** 0.5 * unit,
        "zeros": int(sum(counts) - sum(others)),
        "histogram": heights.tolist(),
    }


def unit_of(low, high):
    """What to divide values by: 1, unless they are so large that computing with them overflows."""
    largest = max(abs(low), abs(high))
    return largest if largest > LARGE else 1


def _finite(values, unit=1):
    """The finite values, piece by piece: dense layers have hundreds of megabytes."""
    flat = values.reshape(-1)
    for start in range(0, flat.size, PIECE):
        piece = flat[start : start + PIECE]
        piece = piece[np.isfinite(piece)]
        yield piece if unit == 1 else piece / np.float64(unit)
