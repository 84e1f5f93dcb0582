"""Slow, obvious twins of caffelite/kernels/warp.py."""

import numpy as np


def warp(x, matrix, away, border, fill):
    """y[c, i, j] = x[c] at matrix (i, j, 1) + away[:, i, j], weighted by nearness."""
    height, width = x.shape[1:]

    def at(c, i, j):
        if border == "constant" and not (0 <= i < height and 0 <= j < width):
            return fill[c]
        return x[c, place(i, height), place(j, width)]

    def place(i, size):
        if border == "nearest":
            return min(max(i, 0), size - 1)
        while not 0 <= i < size and size > 1:
            i = -i if i < 0 else 2 * (size - 1) - i
        return i if size > 1 else 0

    y = np.empty(x.shape)
    for c, i, j in np.ndindex(*y.shape):
        v, u = matrix @ [i, j, 1] + (away[:, i, j] if away.size else 0)
        top, left = int(np.floor(v)), int(np.floor(u))
        y[c, i, j] = sum(
            (1 - abs(v - row)) * (1 - abs(u - column)) * float(at(c, row, column))
            for row in (top, top + 1)
            for column in (left, left + 1)
        )
    return y


def smooth(x, weights):
    """The sum of x under weights[k] weights[m], where they lie within x."""
    size = len(weights)
    kernel = np.outer(weights, weights)
    y = np.empty((x.shape[0] - size + 1, x.shape[1] - size + 1))
    for i, j in np.ndindex(*y.shape):
        y[i, j] = (kernel * x[i : i + size, j : j + size]).sum()
    return y
