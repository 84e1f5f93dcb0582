"""Slow, obvious twins of caffelite/kernels/resize.py."""

import numpy as np


def bilinear(x, height, width):
    """Each new pixel centre lies between four old ones, or at an edge, which repeats."""
    channels, old_height, old_width = x.shape
    y = np.empty((channels, height, width))
    for c, i, j in np.ndindex(*y.shape):
        v = min(max((i + 0.5) * old_height / height - 0.5, 0), old_height - 1)
        u = min(max((j + 0.5) * old_width / width - 0.5, 0), old_width - 1)
        up, left = int(v), int(u)
        below, right = min(up + 1, old_height - 1), min(left + 1, old_width - 1)
        v, u = v - up, u - left
        upper = (1 - u) * x[c, up, left] + u * x[c, up, right]
        lower = (1 - u) * x[c, below, left] + u * x[c, below, right]
        y[c, i, j] = (1 - v) * upper + v * lower
    return y
