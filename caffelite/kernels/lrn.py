"""Local response normalization, across channels or within one.

s = k + alpha / count * (sum of x^2 over a window), y = x s^-beta, and with t = dy x s^(-beta - 1)

    dx = dy s^-beta - 2 alpha beta / count * x * (sum of t over the window).

A window reaches `reach` = (size - 1) / 2 to both sides; beyond the borders x is 0. Backward
computes s anew, which costs less than to write and read it. Threads take blocks of pixels or
planes, so their number changes no bit of a result.
"""

import numpy as np

from ._jit import kernel, prange, threads_over
from ._workspace import workspace_rows

BLOCK = 256
"""Pixels per task across channels: the rows a window needs stay in the first-level cache."""


@kernel
def _times_power(x, s, beta, y):
    """y = x s^-beta."""
    if beta == 0.75:  # the usual one; square roots are vector instructions, powers are not
        for i in range(y.size):
            root = np.sqrt(s[i])
            y[i] = x[i] / (root * np.sqrt(root))
    elif beta == 0.5:
        for i in range(y.size):
            y[i] = x[i] / np.sqrt(s[i])
    elif beta == 1:
        for i in range(y.size):
            y[i] = x[i] / s[i]
    else:
        for i in range(y.size):
            y[i] = x[i] * s[i] ** -beta


@kernel
def _channel_scales(x, c, reach, start, k, factor, s):
    """s = k + factor * sum of x[j]^2 over channels around c, for the pixels from start on."""
    stop = start + s.size
    s[:] = 0
    for j in range(max(c - reach, 0), min(c + reach + 1, x.shape[0])):
        row = x[j, start:stop]  # contiguous, so that the loop below becomes vector code
        for i in range(s.size):
            s[i] += row[i] * row[i]
    for i in range(s.size):
        s[i] = k + factor * s[i]


def across_forward(x, reach, k, alpha, beta, y):
    """y = x s^-beta with windows of channels. x and y are (images, channels, pixels)."""
    threads = threads_over(x, y)
    work = workspace_rows(x.dtype, threads, BLOCK)
    _across_forward.on(threads)(x, reach, k, alpha, beta, y, work)


@kernel(parallel=True)
def _across_forward(x, reach, k, alpha, beta, y, work, share):
    thread = share[0]
    images, channels, pixels = x.shape
    blocks = -(-pixels // BLOCK)
    number = x.dtype.type
    k, factor, beta = number(k), number(alpha / (2 * reach + 1)), number(beta)
    items = images * blocks
    for item in prange(items, share):
        n, start = item // blocks, item % blocks * BLOCK
        stop = min(start + BLOCK, pixels)
        s = work[thread, : stop - start]
        for c in range(channels):
            _channel_scales(x[n], c, reach, start, k, factor, s)
            _times_power(x[n, c, start:stop], s, beta, y[n, c, start:stop])


def across_backward(x, dy, reach, k, alpha, beta, dx):
    """dx for `across_forward`."""
    threads = threads_over(x, dy, dx)
    work = workspace_rows(x.dtype, threads, (1 + x.shape[1]) * BLOCK)
    _across_backward.on(threads)(x, dy, reach, k, alpha, beta, dx, work)


@kernel(parallel=True)
def _across_backward(x, dy, reach, k, alpha, beta, dx, work, share):
    thread = share[0]
    images, channels, pixels = x.shape
    blocks = -(-pixels // BLOCK)
    number = x.dtype.type
    k, factor, beta = number(k), number(alpha / (2 * reach + 1)), number(beta)
    slope = 2 * factor * beta
    items = images * blocks
    for item in prange(items, share):
        n, start = item // blocks, item % blocks * BLOCK
        stop = min(start + BLOCK, pixels)
        s, t = work[thread, : stop - start], work[thread, BLOCK:].reshape(channels, BLOCK)
        for c in range(channels):
            row, out, product = x[n, c, start:stop], dx[n, c, start:stop], t[c]
            _channel_scales(x[n], c, reach, start, k, factor, s)
            _times_power(dy[n, c, start:stop], s, beta, out)
            for i in range(s.size):
                product[i] = out[i] * row[i] / s[i]
        for c in range(channels):
            s[:] = 0
            for j in range(max(c - reach, 0), min(c + reach + 1, channels)):
                product = t[j]
                for i in range(s.size):
                    s[i] += product[i]
            row, out = x[n, c, start:stop], dx[n, c, start:stop]
            for i in range(s.size):
                out[i] -= slope * row[i] * s[i]


@kernel
def _add_shifted(x, reach, total):
    """total[i] += sum of x over i - reach .. i + reach."""
    reach = min(reach, x.size - 1)
    for shift in range(-reach, reach + 1):
        first, last = max(-shift, 0), min(x.size - shift, x.size)
        target, source = total[first : max(first, last)], x[first + shift :]
        for i in range(target.size):
            target[i] += source[i]


@kernel
def _box_sum(x, reach, total, line):
    """total = sum of x over the window at each place of a plane; `line` is work space."""
    height, width = x.shape
    for h in range(height):
        line[:] = 0
        for row in range(max(h - reach, 0), min(h + reach + 1, height)):
            for w in range(width):
                line[w] += x[row, w]
        total[h] = 0
        _add_shifted(line, reach, total[h])


@kernel
def _plane_scales(x, reach, k, factor, squares, s, line):
    """s = k + factor * sum of x^2 over windows; `squares` and `line` are work space."""
    for h in range(x.shape[0]):
        for w in range(x.shape[1]):
            squares[h, w] = x[h, w] * x[h, w]
    _box_sum(squares, reach, s, line)
    for h in range(x.shape[0]):
        for w in range(x.shape[1]):
            s[h, w] = k + factor * s[h, w]


@kernel
def _two_planes_and_a_line(work, shape):
    """Work space cut into two arrays of this shape, and a line of them."""
    height, width = shape
    size = height * width
    first, second = work[:size], work[size : 2 * size]
    return first.reshape(height, width), second.reshape(height, width), work[2 * size :]


def _plane_workspace(x, threads):
    return workspace_rows(x.dtype, threads, (2 * x.shape[1] + 1) * x.shape[2])


def within_forward(x, reach, k, alpha, beta, y):
    """y = x s^-beta with square windows in each plane. x and y are (planes, height, width)."""
    threads = threads_over(x, y)
    _within_forward.on(threads)(x, reach, k, alpha, beta, y, _plane_workspace(x, threads))


@kernel(parallel=True)
def _within_forward(x, reach, k, alpha, beta, y, work, share):
    thread = share[0]
    number = x.dtype.type
    k, factor, beta = number(k), number(alpha / (2.0 * reach + 1) ** 2), number(beta)
    planes = len(x)
    squares, s, line = _two_planes_and_a_line(work[thread], x.shape[1:])
    for p in prange(planes, share):
        _plane_scales(x[p], reach, k, factor, squares, s, line)
        _times_power(x[p].reshape(-1), s.reshape(-1), beta, y[p].reshape(-1))


def within_backward(x, dy, reach, k, alpha, beta, dx):
    """dx for `within_forward`."""
    threads = threads_over(x, dy, dx)
    _within_backward.on(threads)(x, dy, reach, k, alpha, beta, dx, _plane_workspace(x, threads))


@kernel(parallel=True)
def _within_backward(x, dy, reach, k, alpha, beta, dx, work, share):
    thread = share[0]
    number = x.dtype.type
    k, factor, beta = number(k), number(alpha / (2.0 * reach + 1) ** 2), number(beta)
    slope = 2 * factor * beta
    planes = len(x)
    t, s, line = _two_planes_and_a_line(work[thread], x.shape[1:])
    for p in prange(planes, share):
        _plane_scales(x[p], reach, k, factor, t, s, line)
        _times_power(dy[p].reshape(-1), s.reshape(-1), beta, dx[p].reshape(-1))
        for h in range(x.shape[1]):
            for w in range(x.shape[2]):
                t[h, w] = dx[p, h, w] * x[p, h, w] / s[h, w]
        _box_sum(t, reach, s, line)
        for h in range(x.shape[1]):
            for w in range(x.shape[2]):
                dx[p, h, w] -= slope * x[p, h, w] * s[h, w]
