"""Twins of caffelite.kernels.interp: matrices of weights along each axis."""

import numpy as np


def weights(size, count, corners=True):
    """(count, size): row i weighs the two values around i (size - 1) / (count - 1).

    Or, with borders on borders, around (i + 1/2) size / count - 1/2, which ends at the outermost.
    """
    at = np.linspace(0, size - 1, count) if count > 1 else np.zeros(1)
    if not corners:
        half = size / count / 2
        at = np.linspace(half, size - half, count).clip(0.5, size - 0.5) - 0.5
    return np.maximum(0, 1 - abs(at[:, None] - np.arange(size)))


def forward(x, y, corners=True):
    h, w = (weights(x.shape[axis], y.shape[axis], corners) for axis in (1, 2))
    y[...] = h @ x @ w.T


def backward(dy, dx, corners=True):
    h, w = (weights(dx.shape[axis], dy.shape[axis], corners) for axis in (1, 2))
    dx[...] = h.T @ dy @ w
