"""Twins of caffelite.kernels.lrn: sums over explicit windows."""

import numpy as np


def window_sum(x, reach, axes):
    """The sum over -reach..reach along each of `axes`, 0 beyond the borders."""
    for axis in axes:
        x = np.moveaxis(x, axis, 0)
        padded = np.pad(x, [(reach, reach)] + [(0, 0)] * (x.ndim - 1))
        x = sum(padded[i : i + len(x)] for i in range(2 * reach + 1))
        x = np.moveaxis(x, 0, axis)
    return x


def normalize(x, reach, k, alpha, beta, axes):
    """(s, y)"""
    s = k + alpha / (2 * reach + 1) ** len(axes) * window_sum(x * x, reach, axes)
    return s, x * s**-beta


def gradient(x, dy, reach, k, alpha, beta, axes):
    s, y = normalize(x, reach, k, alpha, beta, axes)
    slope = 2 * alpha * beta / (2 * reach + 1) ** len(axes)
    return dy * s**-beta - slope * x * window_sum(dy * y / s, reach, axes)


def across_forward(x, reach, k, alpha, beta, y):
    y[...] = normalize(x, reach, k, alpha, beta, [1])[1]


def across_backward(x, dy, reach, k, alpha, beta, dx):
    dx[...] = gradient(x, dy, reach, k, alpha, beta, [1])


def within_forward(x, reach, k, alpha, beta, y):
    y[...] = normalize(x, reach, k, alpha, beta, [1, 2])[1]


def within_backward(x, dy, reach, k, alpha, beta, dx):
    dx[...] = gradient(x, dy, reach, k, alpha, beta, [1, 2])


def lrn(x, local_size=5, k=1, alpha=1, beta=0.75, axes=(1,)):
    """The layer; axes (2, 3) for WITHIN_CHANNEL."""
    return normalize(x, local_size // 2, k, alpha, beta, axes)[1]
