"""Twins of caffelite.kernels.interp: matrices of weights along each axis."""

import numpy as np


def weights(size, count):
    """(count, size): row i weighs the two values around i (size - 1) / (count - 1)."""
    at = np.linspace(0, size - 1, count) if count > 1 else np.zeros(1)
    return np.maximum(0, 1 - abs(at[:, None] - np.arange(size)))


def forward(x, y):
    h, w = (weights(x.shape[axis], y.shape[axis]) for axis in (1, 2))
    y[...] = h @ x @ w.T


def backward(dy, dx):
    h, w = (weights(dx.shape[axis], dy.shape[axis]) for axis in (1, 2))
    dx[...] = h.T @ dy @ w
