"""Bilinear resizing of 8-bit pictures, in the fixed-point arithmetic of OpenCV's INTER_LINEAR."""

import numpy as np

from ._jit import kernel

ONE = 1 << 11  # the weight 1


def bilinear(x, height, width):
    """x (channels x H x W, uint8) as channels x height x width.

    Pixel centres fall on ((i + 1/2) H / height - 1/2, ...); beyond the outermost ones, edges
    repeat. Nothing is smoothed: shrinking by more than 2 leaves pixels out.
    """
    y = np.empty((len(x), height, width), np.uint8)
    if x.shape[1] == 2 * height and x.shape[2] == 2 * width:
        halve(x, y)
    else:
        rows, row_weights = _taps(x.shape[1], height)
        columns, column_weights = _taps(x.shape[2], width)
        column_weights[(columns < 0) | (columns >= x.shape[2] - 1)] = 0
        interpolate(x, rows, row_weights, columns.clip(0), column_weights, y)
    return y


def _taps(size, new_size):
    """For each new place: the old place before it, and the weight of the one after that."""
    at = ((np.arange(new_size) + 0.5) * (size / new_size) - 0.5).astype(np.float32)
    before = np.floor(at).astype(np.int64)
    weight = np.rint((at - before.astype(np.float32)) * np.float32(ONE)).astype(np.int64)
    return before, weight


@kernel
def interpolate(x, rows, row_weights, columns, column_weights, y):
    """y[c, i, j]: x[c] between rows[i], columns[j] and the next ones, by weights out of ONE."""
    channels, height, width = x.shape
    for c in range(channels):
        for i in range(rows.size):
            up, below = max(rows[i], 0), min(rows[i] + 1, height - 1)
            v = row_weights[i]
            for j in range(columns.size):
                left, right = columns[j], min(columns[j] + 1, width - 1)
                u = column_weights[j]
                upper = x[c, up, left] * (ONE - u) + x[c, up, right] * u
                lower = x[c, below, left] * (ONE - u) + x[c, below, right] * u
                mixed = ((ONE - v) * (upper >> 4) >> 16) + (v * (lower >> 4) >> 16)
                y[c, i, j] = (mixed + 2) >> 2


@kernel
def halve(x, y):
    """y: the means of 2 x 2 pixels of x, rounded up at .5."""
    for c in range(y.shape[0]):
        for i in range(y.shape[1]):
            for j in range(y.shape[2]):
                total = 2
                for k in range(2):
                    for m in range(2):
                        total += int(x[c, 2 * i + k, 2 * j + m])
                y[c, i, j] = total >> 2
