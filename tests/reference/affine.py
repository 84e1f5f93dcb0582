import numpy as np

from . import epilogue as ref


def forward(x, epilogue, y):
    y[...] = ref.forward(x, epilogue)


def backward(y, dy, x, epilogue, dx, dslope, doffset):
    dy = dy * ref.slopes(y, epilogue)
    sums(dy, x, epilogue.center, dslope, doffset)
    for n, c, i in np.ndindex(x.shape):
        dx[n, c, i] = epilogue.slope[c] * dy[n, c, i]


def sums(dy, x, center, dslope, doffset):
    dslope[...] = doffset[...] = 0
    for n, c, i in np.ndindex(x.shape):
        dslope[c] += dy[n, c, i] * (x[n, c, i] - center[c])
        doffset[c] += dy[n, c, i]
