"""A factor and an offset per channel: y = (x - center) * slope + offset, for x of N x C x S.

`center` is subtracted first, since x * slope + offset would cancel where a channel's mean is large
beside its deviation. Sums are kept in float64, whatever the arrays hold. With `rectify`, a ReLU
follows in place: y = max(y, 0), and its gradient comes first, dy = 0 where y is 0.
"""

import numpy as np

from . import relu, small
from ._jit import kernel, prange


def forward(x, center, slope, offset, rectify, y):
    """y = (x - center) * slope + offset, with arrays of (C,); `y` may be `x`."""
    run = small.scale if small.is_small(x) else _forward
    run(x, center, slope, offset, rectify, y)


@kernel(parallel=True)
def _forward(x, center, slope, offset, rectify, y):
    for c in prange(x.shape[1]):
        channel(x, c, center[c], slope[c], offset[c], rectify, y)


def backward(y, dy, x, center, slope, rectify, dx, dslope, doffset):
    """dx = slope * dy; dslope = sum(dy * (x - center)), doffset = sum(dy) per channel.

    All three are assigned. `dx` may be `dy`. `y` is read, and `dy` written, to rectify only.
    """
    run = small.scale_back if small.is_small(x) else _backward
    run(y, dy, x, center, slope, rectify, dx, dslope, doffset)


@kernel(parallel=True)
def _backward(y, dy, x, center, slope, rectify, dx, dslope, doffset):
    for c in prange(x.shape[1]):
        if rectify:
            mask_channel(y, c, dy)
        doffset[c], dslope[c] = products(dy, x, c, center[c])
        for n in range(x.shape[0]):
            dy_row, dx_row = dy[n, c], dx[n, c]
            for i in range(dy_row.size):
                dx_row[i] = slope[c] * dy_row[i]


def sums(dy, x, center, dslope, doffset):
    """The dslope and doffset of `backward`, without dx."""
    run = small.scale_sums if small.is_small(x) else _sums
    run(dy, x, center, dslope, doffset)


@kernel(parallel=True)
def _sums(dy, x, center, dslope, doffset):
    for c in prange(x.shape[1]):
        doffset[c], dslope[c] = products(dy, x, c, center[c])


@kernel
def channel(x, c, center, slope, offset, rectify, y):
    """The formula of `forward` for channel c, in y's precision."""
    center, slope, offset = y.dtype.type(center), y.dtype.type(slope), y.dtype.type(offset)
    for n in range(x.shape[0]):
        x_row, y_row = x[n, c], y[n, c]
        for i in range(x_row.size):
            y_row[i] = (x_row[i] - center) * slope + offset
        if rectify:
            relu.forward_part(y_row, y.dtype.type(0), y_row)


@kernel
def mask_channel(y, c, dy):
    """dy = 0 where y is not above 0, for channel c."""
    for n in range(dy.shape[0]):
        relu.backward_part(y[n, c], dy[n, c], dy.dtype.type(0), dy[n, c])


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
