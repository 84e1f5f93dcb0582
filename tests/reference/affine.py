import numpy as np


def forward(x, center, slope, offset, rectify, y):
    for n, c, i in np.ndindex(x.shape):
        y[n, c, i] = (x[n, c, i] - center[c]) * slope[c] + offset[c]
        if rectify:
            y[n, c, i] = max(y[n, c, i], 0)


def backward(y, dy, x, center, slope, rectify, dx, dslope, doffset):
    dy = np.where(y > 0, dy, 0) if rectify else dy
    sums(dy, x, center, dslope, doffset)
    for n, c, i in np.ndindex(x.shape):
        dx[n, c, i] = slope[c] * dy[n, c, i]


def sums(dy, x, center, dslope, doffset):
    dslope[...] = doffset[...] = 0
    for n, c, i in np.ndindex(x.shape):
        dslope[c] += dy[n, c, i] * (x[n, c, i] - center[c])
        doffset[c] += dy[n, c, i]
