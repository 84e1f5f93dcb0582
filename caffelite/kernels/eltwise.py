"""y = a + b over flat arrays, and its gradient, with a ReLU that may follow in place.

With `rectify`, y = max(a + b, 0); its gradient then sets dy = 0 first where y is 0.
"""

from . import relu
from ._jit import kernel, prange
from .relu import PART


@kernel(parallel=True)
def add(a, b, rectify, y):
    """y = a + b; y may be none of the two."""
    for part in prange((y.size + PART - 1) // PART):
        own = slice(part * PART, (part + 1) * PART)
        a_part, b_part, y_part = a[own], b[own], y[own]
        for i in range(y_part.size):
            y_part[i] = a_part[i] + b_part[i]
        if rectify:
            relu.forward_part(y_part, y.dtype.type(0), y_part)


@kernel(parallel=True)
def spread(y, dy, rectify, da, db):
    """da = db = dy. `y` is read, and `dy` written, to rectify only."""
    for part in prange((dy.size + PART - 1) // PART):
        own = slice(part * PART, (part + 1) * PART)
        dy_part, da_part, db_part = dy[own], da[own], db[own]
        if rectify:
            relu.backward_part(y[own], dy_part, dy.dtype.type(0), dy_part)
        for i in range(dy_part.size):
            da_part[i] = dy_part[i]
        for i in range(dy_part.size):
            db_part[i] = dy_part[i]
