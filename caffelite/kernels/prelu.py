"""ReLU with a slope for each channel: x is (samples, channels, values), slope (channels)."""

import numpy as np

from ._jit import kernel, prange
from .relu import backward_part, forward_part


@kernel(parallel=True)
def forward(x, slope, y, share):
    """y = x where x > 0, slope[c] * x elsewhere; y may be x."""
    samples, channels, _ = x.shape
    for plane in prange(samples * channels, share):
        n, c = divmod(plane, channels)
        forward_part(x[n, c], slope[c], y[n, c])


@kernel(parallel=True)
def backward(x, dy, slope, dx, share):
    """dx = dy where x > 0, slope[c] * dy elsewhere; dx may be dy."""
    samples, channels, _ = x.shape
    for plane in prange(samples * channels, share):
        n, c = divmod(plane, channels)
        backward_part(x[n, c], dy[n, c], slope[c], dx[n, c])


@kernel(parallel=True)
def slope_gradient(x, dy, dslope, share):
    """dslope[c] += the sum of dy * min(x, 0) over channel c."""
    for c in prange(x.shape[1], share):
        total = 0.0
        for n in range(x.shape[0]):
            total += _negative_product(x[n, c], dy[n, c])
        dslope[c] += total


@kernel(any_order=True)
def _negative_product(x, dy):
    total = 0.0
    for i in range(x.size):
        total += np.float64(dy[i]) * min(np.float64(x[i]), 0.0)
    return total
