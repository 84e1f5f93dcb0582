"""Batch normalization of x (N x C x S) per channel, with an affine part: gamma * xhat + beta.

A channel is read twice in a row, once for its statistics and once for its values, so the second
reading mostly comes from cache. Sums are kept in float64, whatever the arrays hold. gamma, beta and
an activation that follows are those of an `Epilogue`: its slope and offset. Its center is not read.
"""

import numpy as np

from . import epilogue as activations
from ._channel_passes import channel_combine, channel_moments, channel_normalize, channel_products
from ._jit import kernel, prange


@kernel(parallel=True)
def forward(x, eps, epilogue, mean, variance, y, share):
    """y = activation(gamma * (x - mean) / sqrt(variance + eps) + beta).

    Fills mean and variance, of (C,); variance is the mean square about the mean. `y` may be `x`.
    """
    images, channels, size = x.shape
    count, step = images * size, channels * size
    flat_x, flat_y = x.reshape(-1), y.reshape(-1)
    sums, numbers = np.empty(2), np.empty(3, x.dtype)
    for c in prange(channels, share):
        at = c * size
        channel_moments(images, size, flat_x, at, step, sums, 0)
        exact_mean, exact_variance = _moments_of(sums, flat_x[at], count)
        mean[c], variance[c] = exact_mean, exact_variance
        _, gamma, beta = activations.linear(epilogue, c)
        slope = gamma / np.sqrt(exact_variance + eps)
        numbers[0], numbers[1] = mean[c], slope
        numbers[2] = beta + slope * (mean[c] - exact_mean)  # gives back what rounding took
        channel_normalize(images, size, step, flat_x, at, numbers, 0, epilogue, c, flat_y, at)


@kernel
def moments(x, c, count):
    """Mean and variance of channel c, of so many values."""
    sums, flat_x, at = np.empty(2), x.reshape(-1), np.int64(c * x.shape[2])
    channel_moments(x.shape[0], x.shape[2], flat_x, at, x.shape[1] * x.shape[2], sums, 0)
    return _moments_of(sums, flat_x[at], count)


@kernel
def _moments_of(sums, start, count):
    """Those of values whose differences from `start`, and squares of them, have these sums."""
    mean = sums[0] / count
    variance = sums[1] / count - mean**2
    return np.float64(start) + mean, 0.0 if variance < 0 else variance


@kernel(parallel=True)
def backward(y, dy, x, mean, variance, eps, epilogue, adds, shows, dx, dgamma, dbeta, share):
    """The gradient of `forward`, statistics included. With xhat = (x - mean) / sqrt(variance + eps)

        dgamma = sum(dy * xhat), dbeta = sum(dy),
        dx = gamma * (dy - dbeta / m - xhat * dgamma / m) / sqrt(variance + eps), m = N * S

    All three are assigned, but with `adds` dx is added to. `dx` may be `dy`. `y` is read where
    there is an activation, whose gradient is written to dy if it `shows`.
    """
    images, channels, size = x.shape
    count, step = images * size, channels * size
    flat_y, flat_dy, flat_x, flat_dx = y.reshape(-1), dy.reshape(-1), x.reshape(-1), dx.reshape(-1)
    sums, numbers = np.empty(2), np.empty(4, x.dtype)
    for c in prange(channels, share):
        at = c * size
        if shows:
            activations.activation_back(y, dy, epilogue, c)
        channel_products(
            images, size, step, flat_y, at, flat_dy, at, flat_x, at, mean, c,
            epilogue, c, not shows, sums, 0,
        )  # fmt: skip
        plain, weighted = sums[0], sums[1]
        inverse = 1 / np.sqrt(np.float64(variance[c]) + eps)
        dbeta[c], dgamma[c] = plain, weighted * inverse
        _, gamma, _ = activations.linear(epilogue, c)
        slope = gamma * inverse
        numbers[0], numbers[1] = slope, -slope * inverse**2 * weighted / count
        numbers[2], numbers[3] = mean[c], -slope * plain / count
        channel_combine(
            images, size, step, flat_y, at, flat_dy, at, flat_x, at, epilogue, c,
            not shows, numbers, 0, adds, flat_dx, at,
        )  # fmt: skip
