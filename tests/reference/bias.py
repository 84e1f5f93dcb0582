import numpy as np


def forward(y, b, rectify):
    for n, c, i in np.ndindex(y.shape):
        y[n, c, i] += b[c]
        if rectify:
            y[n, c, i] = max(y[n, c, i], 0)


def backward(y, dy, rectify, db):
    for n, c, i in np.ndindex(dy.shape):
        if rectify and not y[n, c, i] > 0:
            dy[n, c, i] = 0
        db[c] += dy[n, c, i]
