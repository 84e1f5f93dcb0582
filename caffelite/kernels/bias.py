"""The gradient of a bias per channel of y, N x C x S, with a ReLU that may follow in place."""

import numpy as np

from . import affine, small
from ._jit import kernel, prange


def backward(y, dy, rectify, db):
    """db[c] += sum of dy[:, c]; with `rectify`, dy = 0 where y is not above 0 first."""
    run = small.bias_back if small.is_small(dy) else _backward
    run(y, dy, rectify, db)


@kernel(parallel=True)
def _backward(y, dy, rectify, db):
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
