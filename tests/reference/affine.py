import numpy as np


def forward(x, center, slope, offset, y):
    for n, c, i in np.ndindex(x.shape):
        y[n, c, i] = (x[n, c, i] - center[c]) * slope[c] + offset[c]


def backward(dy, x, center, slope, dx, dslope, doffset):
    sums(dy, x, center, dslope, doffset)
    for n, c, i in np.ndindex(x.shape):
        dx[n, c, i] = slope[c] * dy[n, c, i]


def sums(dy, x, center, dslope, doffset):
    dslope[...] = doffset[...] = 0
    for n, c, i in np.ndindex(x.shape):
        dslope[c] += dy[n, c, i] * (x[n, c, i] - center[c])
        doffset[c] += dy[n, c, i]
