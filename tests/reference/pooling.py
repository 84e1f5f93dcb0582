"""Twins of caffelite.kernels.pooling: one window after the other."""

import numpy as np

LOWEST = np.finfo(np.float32).min


def windows(window, in_shape, out_shape):
    """For each output (i, j): the slices of rows and columns that its window covers."""
    (kh, kw, sh, sw, ph, pw), (height, width) = window, in_shape
    for i, j in np.ndindex(*out_shape):
        h, w = i * sh - ph, j * sw - pw
        rows = slice(max(h, 0), min(h + kh, height))
        yield (i, j), (rows, slice(max(w, 0), min(w + kw, width)))


def sizes(window, in_shape, out_shape):
    """Window sizes, clipped to the padded plane."""
    (kh, kw, sh, sw, ph, pw), (height, width), (rows, columns) = window, in_shape, out_shape
    h = np.minimum(kh, height + 2.0 * ph - np.arange(rows) * sh)
    w = np.minimum(kw, width + 2.0 * pw - np.arange(columns) * sw)
    return np.outer(h, w)


def planes(x, window, y):
    for p in range(len(x)):
        for at, seen in windows(window, x.shape[1:], y.shape[1:]):
            yield p, (p, *at), (p, *seen)


def max_forward(x, window, y, argmax):
    places = np.arange(x.shape[1] * x.shape[2]).reshape(x.shape[1:])
    for _, at, (p, *seen) in planes(x, window, y):
        values, where = x[p][tuple(seen)].ravel(), places[tuple(seen)].ravel()
        y[at], argmax[at] = LOWEST, -1
        for value, place in zip(values, where, strict=True):
            if value > y[at]:
                y[at], argmax[at] = value, place


def max_values(x, window, y):
    max_forward(x, window, y, np.empty(y.shape, int))


def max_backward(dy, argmax, dx):
    dx[...] = 0
    for at in np.ndindex(dy.shape):
        if argmax[at] >= 0:
            dx[at[0]].flat[argmax[at]] += dy[at]


def average_forward(x, window, y):
    for _, at, seen in planes(x, window, y):
        y[at] = x[seen].sum()
    y /= sizes(window, x.shape[1:], y.shape[1:])


def average_backward(dy, window, dx):
    dx[...] = 0
    share = dy / sizes(window, dx.shape[1:], dy.shape[1:])
    for _, at, seen in planes(dx, window, dy):
        dx[seen] += share[at]


def draw_forward(x, window, draws, y, argmax):
    places = np.arange(x.shape[1] * x.shape[2]).reshape(x.shape[1:])
    for _, at, (p, *seen) in planes(x, window, y):
        running = x[p][tuple(seen)].cumsum()
        reached = np.flatnonzero(running >= draws[at] * running[-1])
        argmax[at] = places[tuple(seen)].ravel()[reached[0] if len(reached) else -1]
        y[at] = x[p].flat[argmax[at]]


def expected_forward(x, window, y):
    for _, at, seen in planes(x, window, y):
        total = x[seen].sum()
        y[at] = (x[seen] ** 2).sum() / total if total > 0 else 0


def expected_backward(x, y, dy, window, dx):
    dx[...] = 0
    for _, at, seen in planes(x, window, y):
        total = x[seen].sum()
        if total > 0:
            dx[seen] += dy[at] * (2 * x[seen] - y[at]) / total


def l2_forward(x, window, y):
    for _, at, seen in planes(x, window, y):
        y[at] = np.linalg.norm(x[seen])


def l2_backward(x, y, dy, window, dx):
    dx[...] = 0
    for _, at, seen in planes(x, window, y):
        if y[at] > 0:
            dx[seen] += dy[at] / y[at] * x[seen]
