"""exp and tanh of arrays, into arrays that may be the same.

Small arrays get the C library's values, as in Caffe. NumPy's own float32 versions are much faster,
and often differ in the last bit.
"""

import math

import numpy as np

from . import small
from ._jit import kernel


def exp(x, y):
    """y = exp(x)"""
    if small.is_small(x):
        _exp(x.reshape(-1), y.reshape(-1))
    else:
        np.exp(x, out=y)


def tanh(x, y):
    """y = tanh(x)

    Computed in float64, if not by the C library: where y nears 1, its last bit decides 1 - y^2.
    """
    if small.is_small(x):
        _tanh(x.reshape(-1), y.reshape(-1))
    else:
        np.tanh(x, out=y, dtype=np.float64, casting="same_kind")


@kernel
def _exp(x, y):
    for i in range(x.size):
        y[i] = math.exp(x[i])


@kernel
def _tanh(x, y):
    for i in range(x.size):
        y[i] = math.tanh(x[i])
