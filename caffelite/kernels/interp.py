"""Bilinear resizing of planes, and its transpose.

Value i of n along an axis is read at i (m - 1) / (n - 1) of the m values (at 0 if n is 1), which
puts corners on corners; or, with `corners` false, at (i + 1/2) m / n - 1/2, but no further out than
the outermost: borders on borders. x and dx are (planes, height, width), y and dy (planes, rows,
columns). Threads take whole planes.
"""

import numpy as np

from ._jit import kernel, prange, threads_over
from ._workspace import workspace_rows

_CACHE_LINES = 128
"""Bytes of a pair of cache lines, which processors fetch together."""


@kernel
def _positions(size, count, corners, low, share):
    """For each of `count` values: the place before it, and how far it lies towards the next."""
    for i in range(count):
        if corners:
            at = i * (size - 1) / (count - 1) if count > 1 else 0.0
        else:
            at = min(max((i + 0.5) * size / count - 0.5, 0.0), size - 1.0)
        low[i] = min(int(at), size - 1)
        share[i] = at - low[i]


def forward(x, y, corners=True):
    """y = x resized."""
    threads = threads_over(x, y)
    _forward.on(threads)(x, corners, y, _lines(x, threads))


def backward(dy, dx, corners=True):
    """dx = the transpose of `forward`, applied to dy."""
    threads = threads_over(dy, dx)
    _backward.on(threads)(dy, corners, dx, _lines(dx, threads))


def _lines(x, threads):
    """A line of x and a value for each thread, in cache lines of its own."""
    whole = _CACHE_LINES // x.itemsize
    return workspace_rows(x.dtype, threads, -(-(x.shape[2] + 1) // whole) * whole)


@kernel(parallel=True)
def _forward(x, corners, y, lines, share):
    thread = share[0]
    planes, height, width = x.shape
    rows, columns = y.shape[1:]
    low_h, low_w = np.empty(rows, np.int64), np.empty(columns, np.int64)
    share_h, share_w = np.empty(rows, x.dtype), np.empty(columns, x.dtype)
    _positions(height, rows, corners, low_h, share_h)
    _positions(width, columns, corners, low_w, share_w)
    line = lines[thread][: width + 1]
    for p in prange(planes, share):
        for i in range(rows):
            above, below = x[p, low_h[i]], x[p, min(low_h[i] + 1, height - 1)]
            for w in range(width):
                line[w] = above[w] + share_h[i] * (below[w] - above[w])
            line[width] = line[width - 1]
            for j in range(columns):
                left, right = line[low_w[j]], line[low_w[j] + 1]
                y[p, i, j] = left + share_w[j] * (right - left)


@kernel(parallel=True)
def _backward(dy, corners, dx, lines, share):
    """line[width] only ever takes zeros."""
    thread = share[0]
    planes, height, width = dx.shape
    rows, columns = dy.shape[1:]
    low_h, low_w = np.empty(rows, np.int64), np.empty(columns, np.int64)
    share_h, share_w = np.empty(rows, dx.dtype), np.empty(columns, dx.dtype)
    _positions(height, rows, corners, low_h, share_h)
    _positions(width, columns, corners, low_w, share_w)
    line = lines[thread][: width + 1]
    for p in prange(planes, share):
        dx[p] = 0
        for i in range(rows):
            line[:] = 0
            for j in range(columns):
                right = share_w[j] * dy[p, i, j]
                line[low_w[j]] += dy[p, i, j] - right
                line[low_w[j] + 1] += right
            above, below = dx[p, low_h[i]], dx[p, min(low_h[i] + 1, height - 1)]
            for w in range(width):
                part = share_h[i] * line[w]
                above[w] += line[w] - part
                below[w] += part
