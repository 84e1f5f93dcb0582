"""What becomes of the sums of a channel before they are stored: a linear map, then an activation.

    y = activation((sum - center) * slope + offset)

The map holds a bias, or what normalization by fixed statistics comes to; `center` is subtracted
first, since sum * slope + offset would cancel where a channel's mean is large beside its
deviation. A kernel that takes an `Epilogue` writes each value once, where a layer for each part
would read and write all of them again. This module says what each activation does, and
`_epilogue.py` says it in vector instructions. A new activation has a number here and a branch in
each of the functions of both.
"""

from typing import NamedTuple

import numpy as np

from . import relu
from ._jit import kernel

NONE, RELU, LEAKY, CLIPPED = range(4)
"""Activations: none; max(v, 0); v where v > 0, leak * v elsewhere; v held between low and high."""


class Epilogue(NamedTuple):
    """The numbers of an epilogue; numba takes it as one argument. `Epilogue.of` makes it.

    Arrays hold a value for each channel. They are empty where nothing asks for them: center, slope
    and offset where there is neither map nor activation, leak where the activation has none. `low`
    and `high` hold for every activation: 0 and infinity for RELU.
    """

    center: np.ndarray
    slope: np.ndarray
    offset: np.ndarray
    activation: int
    leak: np.ndarray
    low: float
    high: float

    @classmethod
    def of(
        cls, dtype, channels, center=None, slope=None, offset=None,
        activation=NONE, leak=0, low=-np.inf, high=np.inf,
    ):  # fmt: skip
        """An epilogue for arrays of this dtype; center, slope, offset and leak may be numbers."""

        def by_channel(value):
            if np.ndim(value) == 0:
                return np.full(channels, value, dtype)
            return np.array(value, dtype).reshape(-1)  # a copy: see `Kept`

        absent, numbers = np.empty(0, dtype), []
        is_linear = activation != NONE or not (center is slope is offset is None)
        for value, neutral in (center, 0), (slope, 1), (offset, 0):
            numbers.append(by_channel(neutral if value is None else value) if is_linear else absent)
        leak = by_channel(leak) if activation == LEAKY else absent
        if activation != CLIPPED:
            low, high = 0 if activation == RELU else -np.inf, np.inf
        return cls(*numbers, activation, leak, float(low), float(high))


def stored(value, epilogue, c, addend=0):
    """y for one sum of channel c: the formula, as plain Python; `addend` comes after the map."""
    if epilogue.slope.size:
        value = (value - epilogue.center[c]) * epilogue.slope[c] + epilogue.offset[c]
    value = value + addend
    if epilogue.activation == LEAKY and not value > 0:
        value = value * epilogue.leak[c]
    return min(max(value, epilogue.low), epilogue.high)


@kernel
def linear(epilogue, c):
    """Center, slope and offset of channel c: 0, 1 and 0 where there is no map."""
    if epilogue.slope.size == 0:
        return 0.0, 1.0, 0.0
    number = np.float64
    return number(epilogue.center[c]), number(epilogue.slope[c]), number(epilogue.offset[c])


@kernel
def activate(y, epilogue, c):
    """Apply the activation alone, in place, to a row of values of channel c."""
    if epilogue.activation == RELU or epilogue.activation == LEAKY:
        leak = epilogue.leak[c] if epilogue.activation == LEAKY else y.dtype.type(0)
        relu.forward_part(y, leak, y)
    elif epilogue.activation == CLIPPED:
        low, high = y.dtype.type(epilogue.low), y.dtype.type(epilogue.high)
        for i in range(y.size):
            value = low if y[i] < low else y[i]
            y[i] = high if value > high else value


@kernel
def activation_back(y, dy, epilogue, c):
    """dy = dy times the slope of the activation that gave y, for channel c of N x C x S.

    From y alone it can be told where leak is not negative; where y is low or high it is 0.
    """
    if epilogue.activation == NONE:
        return
    leak = epilogue.leak[c] if epilogue.activation == LEAKY else y.dtype.type(0)
    low, high = y.dtype.type(epilogue.low), y.dtype.type(epilogue.high)
    for n in range(dy.shape[0]):
        y_row, dy_row = y[n, c], dy[n, c]
        if epilogue.activation != CLIPPED:
            relu.backward_part(y_row, dy_row, leak, dy_row)
        else:
            for i in range(dy_row.size):
                inside = (y_row[i] > low) & (y_row[i] < high)
                dy_row[i] = dy_row[i] if inside else dy_row[i] * 0
