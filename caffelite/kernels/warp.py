"""Sampling of 8-bit pictures, channels x height x width, at places of one's own choice."""

import math

import numpy as np

from ._jit import kernel, read_only

CONSTANT, MIRRORED, NEAREST = 1, 2, 3  # what lies beyond the edges


def warp(x, matrix, away, border, fill, y):
    """y[c, i, j] = x[c] at matrix (i, j, 1) + away[:, i, j], linear between four pixels.

    `away` (2 x height x width, rows first) may be empty. Beyond its edges x is fill[c] (CONSTANT),
    x mirrored at the outermost pixels (MIRRORED), or the nearest pixel (NEAREST). fill is float32.
    """
    _warp(read_only(x), matrix, away, border, fill, y)


@kernel
def _warp(x, matrix, away, border, fill, y):
    channels, height, width = x.shape
    for i in range(y.shape[1]):
        for j in range(y.shape[2]):
            v = matrix[0, 0] * i + matrix[0, 1] * j + matrix[0, 2]
            u = matrix[1, 0] * i + matrix[1, 1] * j + matrix[1, 2]
            if away.size:
                v += away[0, i, j]
                u += away[1, i, j]
            top, left = math.floor(v), math.floor(u)
            v, u = np.float32(v - top), np.float32(u - left)
            if 0 <= top < height - 1 and 0 <= left < width - 1:
                for c in range(channels):
                    here = x[c]
                    a, b = np.float32(here[top, left]), np.float32(here[top, left + 1])
                    d, e = np.float32(here[top + 1, left]), np.float32(here[top + 1, left + 1])
                    y[c, i, j] = _between(a, b, d, e, v, u)
            else:
                up, down = _inside(top, height, border), _inside(top + 1, height, border)
                left, right = _inside(left, width, border), _inside(left + 1, width, border)
                for c in range(channels):
                    a, b = _at(x, c, up, left, fill), _at(x, c, up, right, fill)
                    d, e = _at(x, c, down, left, fill), _at(x, c, down, right, fill)
                    y[c, i, j] = _between(a, b, d, e, v, u)


@kernel
def _between(a, b, d, e, v, u):
    """Where a and b are above d and e: v of the way down, u of the way to the right, rounded."""
    upper, lower = a + u * (b - a), d + u * (e - d)
    return int(upper + v * (lower - upper) + np.float32(0.5))


@kernel
def _inside(i, size, border):
    """The place among 0 to size - 1 that stands for i; -1 for none."""
    if 0 <= i < size:
        return i
    if border == CONSTANT:
        return -1
    if border == NEAREST or size == 1:
        return min(max(i, 0), size - 1)
    i = abs(i) % (2 * size - 2)
    return min(i, 2 * size - 2 - i)


@kernel
def _at(x, c, i, j, fill):
    return fill[c] if i < 0 or j < 0 else np.float32(x[c, i, j])


@kernel
def smooth(x, weights, y):
    """y[i, j] = the sum of weights[k] weights[m] x[i + k, j + m]; y is smaller than x by the rest.

    x and y are float32.
    """
    line = np.empty(x.shape[1], np.float32)
    for i in range(y.shape[0]):
        line[:] = 0
        for k in range(weights.size):
            source = x[i + k]
            for j in range(line.size):
                line[j] += weights[k] * source[j]
        y[i] = 0
        for k in range(weights.size):
            for j in range(y.shape[1]):
                y[i, j] += weights[k] * line[j + k]
