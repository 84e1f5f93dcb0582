"""Epilogues, one array operation at a time, and one of each kind."""

import numpy as np

from caffelite.kernels.epilogue import CLIPPED, LEAKY, NONE, RELU, Epilogue

ACTIVATIONS = {"none": NONE, "relu": RELU, "leaky": LEAKY, "clipped": CLIPPED}


def draw(activation, dtype, channels, linear=True, limits=(-3, 6)):
    """An epilogue whose numbers are exact in few bits, so that the order of sums is no matter."""
    rng = np.random.default_rng(5)
    numbers = rng.integers(-4, 5, (3, channels)) if linear else [None] * 3
    leak = rng.integers(0, 3, channels) / 4
    return Epilogue.of(dtype, channels, *numbers, activation, leak, *limits)


def forward(y, epilogue):
    """What an Epilogue makes of sums y (N, C, ...)."""
    columns = (-1, *(1,) * (y.ndim - 2))
    center, slope, offset, leak = (
        getattr(epilogue, name).reshape(columns) for name in ("center", "slope", "offset", "leak")
    )
    if slope.size:
        y = (y - center) * slope + offset
    return {
        NONE: lambda: y,
        RELU: lambda: np.maximum(y, 0),
        LEAKY: lambda: np.where(y > 0, y, leak * y),
        CLIPPED: lambda: np.clip(y, epilogue.low, epilogue.high),
    }[epilogue.activation]()


def slopes(y, epilogue):
    """The derivative of the activation that gave y (N, C, ...)."""
    leak = epilogue.leak.reshape(-1, *(1,) * (y.ndim - 2))
    return {
        NONE: lambda: np.ones_like(y),
        RELU: lambda: np.where(y > 0, 1, 0),
        LEAKY: lambda: np.where(y > 0, 1, leak),
        CLIPPED: lambda: np.where((y > epilogue.low) & (y < epilogue.high), 1, 0),
    }[epilogue.activation]()
