"""Resizing of 8-bit pictures, channels x height x width, as OpenCV does it.

Pixel centres fall on ((i + 1/2) H / height - 1/2, ...), unless said otherwise; beyond the outermost
ones, edges repeat. `bilinear` is in the fixed-point arithmetic of OpenCV's INTER_LINEAR, to the bit
on x86-64; the others are sums in float32, within 1 of OpenCV's.
"""

import numpy as np

from ._jit import kernel, read_only

ONE = 1 << 11  # the weight 1


def bilinear(x, height, width):
    """x resized by INTER_LINEAR; shrinking by more than 2 leaves pixels out."""
    x, y = read_only(x), np.empty((len(x), height, width), np.uint8)
    if x.shape[1] == 2 * height and x.shape[2] == 2 * width:
        halve(x, y)
    else:
        rows, row_weights = _between(x.shape[1], height)
        columns, column_weights = _between(x.shape[2], width)
        column_weights[(columns < 0) | (columns >= x.shape[2] - 1)] = 0
        interpolate(x, rows, row_weights, columns.clip(0), column_weights, y)
    return y


def _between(size, new_size):
    """For each new place: the old place before it, and the weight of the one after that."""
    at = _centres(size, new_size).astype(np.float32)
    before = np.floor(at).astype(np.int32)
    weight = np.rint((at - before.astype(np.float32)) * np.float32(ONE)).astype(np.int32)
    return before, weight


def _centres(size, new_size):
    return (np.arange(new_size) + 0.5) * (size / new_size) - 0.5


@kernel
def interpolate(x, rows, row_weights, columns, column_weights, y):
    """y[c, i, j]: x[c] between rows[i], columns[j] and the next ones, by weights out of ONE."""
    channels, height, width = x.shape
    one, two = np.int32(ONE), np.int32(2)
    lines = np.empty((2, columns.size), np.int32)  # rows of x, resized: row r is in lines[r % 2]
    for c in range(channels):
        held = np.full(2, -1)
        for i in range(rows.size):
            up, below = max(rows[i], 0), min(rows[i] + 1, height - 1)
            for row in (up, below):
                if held[row % 2] != row:
                    held[row % 2] = row
                    line, source = lines[row % 2], x[c, row]
                    for j in range(columns.size):
                        left, right = columns[j], min(columns[j] + 1, width - 1)
                        u = column_weights[j]
                        line[j] = source[left] * (one - u) + source[right] * u
            upper, lower, v = lines[up % 2], lines[below % 2], row_weights[i]
            for j in range(columns.size):
                mixed = ((one - v) * (upper[j] >> 4) >> 16) + (v * (lower[j] >> 4) >> 16)
                y[c, i, j] = (mixed + two) >> 2


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


def nearest(x, height, width):
    """x resized by INTER_NEAREST: new place i takes the old one at i H / height, rounded down."""
    rows, columns = (
        np.minimum((np.arange(new) * (old / new)).astype(int), old - 1)
        for old, new in zip(x.shape[1:], (height, width), strict=True)
    )
    x, y = read_only(x), np.empty((len(x), height, width), np.uint8)
    pick(x, rows, columns, y)
    return y


@kernel
def pick(x, rows, columns, y):
    """y[c, i, j] = x[c, rows[i], columns[j]]."""
    for c in range(y.shape[0]):
        for i in range(y.shape[1]):
            source = x[c, rows[i]]
            for j in range(y.shape[2]):
                y[c, i, j] = source[columns[j]]


def area(x, height, width):
    """x resized by INTER_AREA: means of what lies under a new pixel.

    Where an axis grows, both are linear, between old pixels whose edges new pixels lie across.
    """
    grows = height > x.shape[1] or width > x.shape[2]
    return resample(x, height, width, _edge_taps if grows else _area_taps)


def cubic(x, height, width):
    """x resized by INTER_CUBIC: 4 taps of Keys's cubic convolution, with a = -3/4."""
    return resample(x, height, width, _cubic_taps)


def lanczos4(x, height, width):
    """x resized by INTER_LANCZOS4: 8 taps of sin(pi t) sin(pi t / 4) / t^2, summing up to 1."""
    return resample(x, height, width, _lanczos_taps)


def resample(x, height, width, taps):
    """x resized by weighted sums: taps(old size, new size) gives old places and weights."""
    x, y = read_only(x), np.empty((len(x), height, width), np.uint8)
    weighted_sums(x, *taps(x.shape[1], height), *taps(x.shape[2], width), y)
    return y


def _area_taps(size, new_size):
    scale = size / new_size
    start = np.arange(new_size)[:, None] * scale
    places = np.floor(start).astype(int) + np.arange(int(np.ceil(scale)) + 1)
    covered = np.minimum(places + 1, start + scale) - np.maximum(places, start)
    return _within(places, size), (covered.clip(0) / scale).astype(np.float32)


def _edge_taps(size, new_size):
    scale = size / new_size
    i = np.arange(new_size)
    before = np.floor(i * scale).astype(int)
    after = i + 1 - (before + 1) / scale
    after = np.where(after <= 0, 0, after - np.floor(after))
    return _taps(before, [1 - after, after], 0, size)


def _cubic_taps(size, new_size):
    before, t = _split(size, new_size)
    a = -0.75
    near = [((a + 2) * s - (a + 3)) * s * s + 1 for s in (t, 1 - t)]
    far = [((a * s - 5 * a) * s + 8 * a) * s - 4 * a for s in (t + 1, 2 - t)]
    return _taps(before, [far[0], *near, far[1]], -1, size)


def _lanczos_taps(size, new_size):
    before, t = _split(size, new_size)
    weights = np.array([np.sinc(t - k) * np.sinc((t - k) / 4) for k in range(-3, 5)])
    return _taps(before, weights / weights.sum(0), -3, size)


def _split(size, new_size):
    """For each new place: the old place before it, and how far it lies towards the next."""
    at = _centres(size, new_size)
    before = np.floor(at).astype(int)
    return before, at - before


def _taps(before, weights, first, size):
    """Places first, first + 1, ... from `before` on, a row for each new place, and weights."""
    places = before[:, None] + np.arange(first, first + len(weights))
    return _within(places, size), np.ascontiguousarray(np.transpose(weights), np.float32)


def _within(places, size):
    return places.clip(0, size - 1).astype(np.int32)


@kernel
def weighted_sums(x, rows, row_weights, columns, column_weights, y):
    """y[c, i, j]: the sum of x[c] at rows[i], columns[j], by the weights of each."""
    channels, _, width = x.shape
    line = np.empty(width, np.float32)
    for c in range(channels):
        for i in range(rows.shape[0]):
            line[:] = 0
            for k in range(rows.shape[1]):
                source, weight = x[c, rows[i, k]], row_weights[i, k]
                for j in range(width):
                    line[j] += weight * np.float32(source[j])
            for j in range(columns.shape[0]):
                total = np.float32(0.5)
                for k in range(columns.shape[1]):
                    total += column_weights[j, k] * line[columns[j, k]]
                y[c, i, j] = min(max(total, np.float32(0)), np.float32(255))
