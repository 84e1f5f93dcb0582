import numpy as np


def backward(y, dy, rectify, db):
    for n, c, i in np.ndindex(dy.shape):
        if rectify and not y[n, c, i] > 0:
            dy[n, c, i] = 0
        db[c] += dy[n, c, i]
