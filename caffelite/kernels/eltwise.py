"""y = a + b over flat arrays, and its gradient, with an `Epilogue`'s activation that may follow.

There are no channels here: the numbers are those of channel 0. The epilogue's map is not read.
"""

import numpy as np

from . import epilogue as activations
from ._jit import kernel, prange
from .relu import PART


@kernel(parallel=True)
def add(a, b, epilogue, y, share):
    """y = activation(a + b); y may be none of the two."""
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
