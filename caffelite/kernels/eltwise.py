"""y = a + b over flat arrays, and its gradient, with an `Epilogue`'s activation that may follow.

There are no channels here: the numbers are those of channel 0. The epilogue's map is not read.
`total` is a sum of any number of arrays, with nothing behind it.
"""

import numpy as np

from . import epilogue as activations
from ._jit import kernel, prange, threads_over
from ._simd import add as add_run
from ._simd import copy
from .relu import PART

CACHED = 1 << 12
"""Values that are still in the nearest cache when the next array is added to them."""


@kernel(parallel=True)
def add(a, b, epilogue, y, share):
    """y = activation(a + b); y may be one of the two."""
    for part in prange((y.size + PART - 1) // PART, share):
        own = slice(part * PART, (part + 1) * PART)
        a_part, b_part, y_part = a[own], b[own], y[own]
        for i in range(y_part.size):
            y_part[i] = a_part[i] + b_part[i]
        activations.activate(y_part, epilogue, np.int64(0))


@kernel(parallel=True)
def spread(y, dy, epilogue, da, db, share):
    """da = db = dy. `y` is read, and `dy` written, where there is an activation."""
    for part in prange((dy.size + PART - 1) // PART, share):
        own = slice(part * PART, (part + 1) * PART)
        dy_part, da_part, db_part = dy[own], da[own], db[own]
        one_row = (1, 1, dy_part.size)
        activations.activation_back(
            y[own].reshape(one_row), dy_part.reshape(one_row), epilogue, np.int64(0)
        )
        for i in range(dy_part.size):
            da_part[i] = dy_part[i]
        for i in range(dy_part.size):
            db_part[i] = dy_part[i]


def total(arrays, y):
    """y = the sum of at least two flat arrays, added in their order; y is none of them."""
    first, *others = arrays
    parts = threads_over(*arrays)
    for other in others:
        if parts == 1:
            np.add(first, other, out=y)
        else:
            _total.on(parts)(first, other, y)
        first = y


@kernel(parallel=True)
def _total(a, b, y, share):
    """y = a + b; y may be a."""
    for block in prange((y.size + CACHED - 1) // CACHED, share):
        at = block * CACHED
        count = min(CACHED, y.size - at)
        if a.ctypes.data != y.ctypes.data:
            copy(count, a, at, 1, y, at, 1)
        add_run(count, b, at, 1, y, at, 1)
