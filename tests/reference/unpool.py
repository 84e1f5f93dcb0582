"""Twins of caffelite.kernels.unpool, a value at a time."""

import numpy as np


def check(mask, size, wrong):
    for p, plane in enumerate(mask):
        bad = [i for i, place in enumerate(plane.flat) if not 0 <= place < size]
        wrong[p] = bad[0] if bad else -1


def forward(x, mask, y):
    y[...] = 0
    for at in np.ndindex(x.shape):
        y[at[0]].flat[int(mask[at])] = x[at]


def backward(dy, mask, dx):
    for at in np.ndindex(dx.shape):
        dx[at] = dy[at[0]].flat[int(mask[at])]


def add_blocks(dy, dx, scale):
    dx[...] = 0
    for p, i, j in np.ndindex(dy.shape):
        dx[p, i // scale, j // scale] += dy[p, i, j]
