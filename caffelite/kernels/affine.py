"""A factor and an offset per channel: y = (x - center) * slope + offset, for x of N x C x S.

`center` is subtracted first, since x * slope + offset would cancel where a channel's mean is large
beside its deviation. Sums are kept in float64, whatever the arrays hold. The three come with an
activation in an `Epilogue`; its gradient comes first, and is told from y.
"""

import numpy as np

from . import epilogue as activations
from ._channel_passes import channel_map, channel_products
from ._jit import kernel, prange
from .epilogue import Epilogue


@kernel(parallel=True)
def forward(x, epilogue, y, share):
    """y = activation((x - center) * slope + offset); `y` may be `x`."""
    channels, size = x.shape[1], x.shape[2]
    step, some = channels * size, x.size > 0
    flat_x, flat_y = x.reshape(-1), y.reshape(-1)
    for c in prange(channels, share):
        at = c * size
        if some:
            channel_map(x.shape[0], size, step, flat_x, at, epilogue, c, flat_y, at)


@kernel(parallel=True)
def backward(y, dy, x, epilogue, dx, dslope, doffset, share):
    """dx = slope * dy; dslope = sum(dy * (x - center)), doffset = sum(dy) per channel.

    All three are assigned. `dx` may be `dy`. `y` is read, and `dy` written, where there is an
    activation.
    """
    channels, size = x.shape[1], x.shape[2]
    step, some = channels * size, x.size > 0
    flat_y, flat_dy, flat_x = y.reshape(-1), dy.reshape(-1), x.reshape(-1)
    totals, number = np.zeros(2), np.empty(1, x.dtype)
    for c in prange(channels, share):
        activations.activation_back(y, dy, epilogue, c)
        center, slope, _ = activations.linear(epilogue, c)
        number[0], slope = center, x.dtype.type(slope)
        at = c * size
        if some:
            channel_products(
                x.shape[0], size, step, flat_y, at, flat_dy, at, flat_x, at, number, 0,
                epilogue, c, False, totals, 0,
            )  # fmt: skip
        doffset[c], dslope[c] = totals[0], totals[1]
        for n in range(x.shape[0]):
            dy_row, dx_row = dy[n, c], dx[n, c]
            for i in range(dy_row.size):
                dx_row[i] = slope * dy_row[i]


def sums(dy, x, center, dslope, doffset):
    """The dslope and doffset of `backward`, without dx."""
    _sums(dy, x, Epilogue.of(x.dtype, len(center), center), dslope, doffset)


@kernel(parallel=True)
def _sums(dy, x, plain, dslope, doffset, share):
    """`sums` about the center of an epilogue without activation."""
    channels, size = x.shape[1], x.shape[2]
    step, some = channels * size, x.size > 0
    flat_dy, flat_x = dy.reshape(-1), x.reshape(-1)
    totals = np.zeros(2)
    for c in prange(channels, share):
        at = c * size
        if some:
            channel_products(
                x.shape[0], size, step, flat_dy, at, flat_dy, at, flat_x, at, plain.center, c,
                plain, c, False, totals, 0,
            )  # fmt: skip
        doffset[c], dslope[c] = totals[0], totals[1]
