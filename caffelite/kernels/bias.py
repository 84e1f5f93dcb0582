"""A bias per channel on x of N x C x S, with a ReLU that may follow in place.

With `rectify`, y = max(y, 0) at the end of forward, and dy = 0 where y is 0 first in backward.
"""

import numpy as np

from . import affine, relu
from ._jit import kernel, prange


@kernel(parallel=True)
def forward(y, b, rectify):
    """y[n, c] += b[c]."""
    for c in prange(y.shape[1]):
        for n in range(y.shape[0]):
            row = y[n, c]
            for i in range(row.size):
                row[i] += b[c]
            if rectify:
                relu.forward_part(row, y.dtype.type(0), row)


@kernel(parallel=True)
def backward(y, dy, rectify, db):
    """db[c] += sum of dy[:, c]. `y` is read, and `dy` written, to rectify only."""
    for c in prange(dy.shape[1]):
        if rectify:
            affine.mask_channel(y, c, dy)
        db[c] += _sum_channel(dy, c)


@kernel(any_order=True)
def _sum_channel(dy, c):
    total = 0.0
    for n in range(dy.shape[0]):
        row = dy[n, c]
        for i in range(row.size):
            total += np.float64(row[i])
    return total
