"""The gradient of a bias per channel of y, N x C x S, with an activation that may follow it."""

import numpy as np

from . import epilogue as activations
from ._jit import kernel, prange


@kernel(parallel=True)
def backward(y, dy, epilogue, db, share):
    """db[c] += sum of dy[:, c], after dy = dy times the slope of the activation that gave y."""
    for c in prange(dy.shape[1], share):
        activations.activation_back(y, dy, epilogue, c)
        db[c] += _sum_channel(dy, c)


@kernel(any_order=True)
def _sum_channel(dy, c):
    total = 0.0
    for n in range(dy.shape[0]):
        row = dy[n, c]
        for i in range(row.size):
            total += np.float64(row[i])
    return total
