"""A factor and an offset per channel: y = (x - center) * slope + offset, for x of N x C x S.

`center` is subtracted first, since x * slope + offset would cancel where a channel's mean is large
beside its deviation. Sums are kept in float64, whatever the arrays hold. The three come with an
activation in an `Epilogue`; its gradient comes first, and is told from y.
"""

import numpy as np

from . import epilogue as activations
from ._jit import kernel, prange


@kernel(parallel=True)
def forward(x, epilogue, y, share):
    """y = activation((x - center) * slope + offset); `y` may be `x`."""
    for c in prange(x.shape[1], share):
        center, slope, offset = activations.linear(epilogue, c)
        channel(x, c, center, slope, offset, epilogue, y)


@kernel(parallel=True)
def backward(y, dy, x, epilogue, dx, dslope, doffset, share):
    """dx = slope * dy; dslope = sum(dy * (x - center)), doffset = sum(dy) per channel.

    All three are assigned. `dx` may be `dy`. `y` is read, and `dy` written, where there is an
    activation.
    """
    for c in prange(x.shape[1], share):
        activations.activation_back(y, dy, epilogue, c)
        center, slope, _ = activations.linear(epilogue, c)
        doffset[c], dslope[c] = products(dy, x, c, center)
        slope = dx.dtype.type(slope)
        for n in range(x.shape[0]):
            dy_row, dx_row = dy[n, c], dx[n, c]
            for i in range(dy_row.size):
                dx_row[i] = slope * dy_row[i]


@kernel(parallel=True)
def sums(dy, x, center, dslope, doffset, share):
    """The dslope and doffset of `backward`, without dx."""
    for c in prange(x.shape[1], share):
        doffset[c], dslope[c] = products(dy, x, c, np.float64(center[c]))


@kernel
def channel(x, c, center, slope, offset, epilogue, y):
    """The formula of `forward` for channel c with these numbers, in y's precision."""
    center, slope, offset = y.dtype.type(center), y.dtype.type(slope), y.dtype.type(offset)
    for n in range(x.shape[0]):
        x_row, y_row = x[n, c], y[n, c]
        for i in range(x_row.size):
            y_row[i] = (x_row[i] - center) * slope + offset
        activations.activate(y_row, epilogue, c)


@kernel(any_order=True)
def products(dy, x, c, center):
    """sum(dy) and sum(dy * (x - center)) over channel c."""
    plain = weighted = 0.0
    for n in range(x.shape[0]):
        dy_row, x_row = dy[n, c], x[n, c]
        for i in range(x_row.size):
            g = np.float64(dy_row[i])
            plain += g
            weighted += g * (np.float64(x_row[i]) - center)
    return plain, weighted
