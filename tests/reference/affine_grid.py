"""Twins of caffelite.kernels.affine_grid: every pixel's share, one place after another."""

import numpy as np


def hat(place, size):
    """The shares that the pixels of an axis have at a place, and how they change as it moves on."""
    pixels = np.arange(size)
    below, above = pixels == np.floor(place), pixels == np.floor(place) + 1
    return np.maximum(0, 1 - abs(place - pixels)), above.astype(float) - below


def forward(x, maps, y):
    for n, i, j in np.ndindex(len(y), *y.shape[2:]):
        v, u = maps[n] @ (i, j, 1)
        y[n, :, i, j] = hat(v, x.shape[2])[0] @ x[n] @ hat(u, x.shape[3])[0]


def backward(x, maps, dy, dx, dmaps):
    dx[...], dmaps[...] = 0, 0
    for n, i, j in np.ndindex(len(dy), *dy.shape[2:]):
        v, u = maps[n] @ (i, j, 1)
        (rows, rows_change), (columns, columns_change) = hat(v, x.shape[2]), hat(u, x.shape[3])
        for c in range(x.shape[1]):
            dx[n, c] += dy[n, c, i, j] * np.outer(rows, columns)
            dv = rows_change @ x[n, c] @ columns
            du = rows @ x[n, c] @ columns_change
            dmaps[n] += dy[n, c, i, j] * np.outer((dv, du), (i, j, 1))
