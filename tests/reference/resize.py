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


def nearest(x, height, width):
    """New pixel i is the old one in which its upper left corner lies."""
    rows = [int(i * x.shape[1] / height) for i in range(height)]
    columns = [int(j * x.shape[2] / width) for j in range(width)]
    return x[:, rows][:, :, columns].astype(float)


def area(x, height, width):
    """The mean over what a new pixel covers; when growing, over a step of an old pixel's width."""
    if height > x.shape[1] or width > x.shape[2]:
        return weighted(x, height, width, step_weight)
    return weighted(x, height, width, covered)


def cubic(x, height, width):
    """Keys's kernel, a = -3/4."""

    def kernel(t):
        t, a = abs(t), -0.75
        if t < 1:
            return (a + 2) * t**3 - (a + 3) * t**2 + 1
        return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0

    return weighted(x, height, width, centred(kernel))


def lanczos4(x, height, width):
    """sinc(t) sinc(t / 4) up to 4 pixels away."""
    return weighted(x, height, width, centred(lambda t: np.sinc(t) * np.sinc(t / 4) * (abs(t) < 4)))


def weighted(x, height, width, weight):
    """Each axis times a matrix of weight(new place, old place, old size / new size)."""

    def matrix(old, new):
        m = np.zeros((new, old))
        for i in range(new):
            for k in range(-5, old + 5):  # those beyond the edges count for the outermost
                m[i, min(max(k, 0), old - 1)] += weight(i, k, old / new)
        return m / m.sum(1, keepdims=True)

    rows, columns = matrix(x.shape[1], height), matrix(x.shape[2], width)
    return np.einsum("ih,chw,jw->cij", rows, x.astype(float), columns).clip(0, 255)


def centred(kernel):
    return lambda i, k, scale: kernel((i + 0.5) * scale - 0.5 - k)


def covered(i, k, scale):
    return max(0, min((i + 1) * scale, k + 1) - max(i * scale, k))


def step_weight(i, k, scale):
    """Old pixel k's share of new pixel i, which covers `scale` <= 1 of old ones, or 2 if larger."""
    before = int(np.floor(i * scale))
    after = (i + 1) - (before + 1) / scale
    after = 0 if after <= 0 else after - np.floor(after)
    return (1 - after) * (k == before) + after * (k == before + 1)
