"""Batch normalization of x (N x C x S) per channel, with an affine part: gamma * xhat + beta.

A channel is read twice in a row, once for its statistics and once for its values, so the second
reading mostly comes from cache. Sums are kept in float64, whatever the arrays hold. gamma, beta and
an activation that follows are those of an `Epilogue`: its slope and offset. Its center is not read.
"""

import numpy as np

from . import epilogue as activations
from ._channel_passes import (
    channel_combine,
    channel_moments,
    channel_normalize,
    channel_normalize_sum,
    channel_products,
    channel_total_products,
)
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
        _find_line(sums, flat_x[at], count, eps, epilogue, c, mean, variance, numbers)
        channel_normalize(images, size, step, flat_x, at, numbers, 0, epilogue, c, flat_y, at)


@kernel(parallel=True)
def forward_sum(x, addend, eps, epilogue, mean, variance, y, share):
    """y = activation(gamma * (x - mean) / sqrt(variance + eps) + beta + addend), see `forward`.

    `addend` is of x's shape; y may be neither of the two.
    """
    images, channels, size = x.shape
    count, step = images * size, channels * size
    flat_x, flat_addend, flat_y = x.reshape(-1), addend.reshape(-1), y.reshape(-1)
    sums, numbers = np.empty(2), np.empty(3, x.dtype)
    for c in prange(channels, share):
        at = c * size
        channel_moments(images, size, flat_x, at, step, sums, 0)
        _find_line(sums, flat_x[at], count, eps, epilogue, c, mean, variance, numbers)
        channel_normalize_sum(
            images, size, step, flat_x, at, flat_addend, at, numbers, 0, epilogue, c, flat_y, at
        )  # fmt: skip


@kernel
def moments(x, c, count):
    """Mean and variance of channel c, of so many values."""
    sums, flat_x, at = np.empty(2), x.reshape(-1), np.int64(c * x.shape[2])
    channel_moments(x.shape[0], x.shape[2], flat_x, at, x.shape[1] * x.shape[2], sums, 0)
    return _moments_of(sums, flat_x[at], count)


@kernel
def _find_line(sums, start, count, eps, epilogue, c, mean, variance, numbers):
    """Fill mean and variance of channel c, and the center, slope and offset that normalize it."""
    exact_mean, exact_variance = _moments_of(sums, start, count)
    mean[c], variance[c] = exact_mean, exact_variance
    _, gamma, beta = activations.linear(epilogue, c)
    slope = gamma / np.sqrt(exact_variance + eps)
    numbers[0], numbers[1] = mean[c], slope
    numbers[2] = beta + slope * (mean[c] - exact_mean)  # gives back what rounding took


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
        _find_way_back(sums, count, mean, variance, eps, epilogue, c, dgamma, dbeta, numbers)
        channel_combine(
            images, size, step, flat_y, at, flat_dy, at, flat_x, at, epilogue, c,
            not shows, numbers, 0, adds, flat_dx, at,
        )  # fmt: skip


@kernel(parallel=True)
def backward_sum(
    y, dy, more, adds, x, mean, variance, eps, epilogue, g, dx, dgamma, dbeta, share
):  # fmt: skip
    """The gradient of `forward_sum`, where that at y is dy, or if it `adds` dy + more.

    All are assigned: dx, dgamma and dbeta as by `backward`, and `g`, the addend's gradient. `g` and
    `dx`, two arrays, may be `dy` and `more`.
    """
    images, channels, size = x.shape
    count, step = images * size, channels * size
    flat_y, flat_dy, flat_more = y.reshape(-1), dy.reshape(-1), more.reshape(-1)
    flat_x, flat_g, flat_dx = x.reshape(-1), g.reshape(-1), dx.reshape(-1)
    sums, numbers = np.empty(2), np.empty(4, x.dtype)
    for c in prange(channels, share):
        at = c * size
        channel_total_products(
            images, size, step, flat_y, at, flat_dy, at, flat_more, at, adds, flat_x, at,
            mean, c, epilogue, c, flat_g, at, sums, 0,
        )  # fmt: skip
        _find_way_back(sums, count, mean, variance, eps, epilogue, c, dgamma, dbeta, numbers)
        channel_combine(
            images, size, step, flat_y, at, flat_g, at, flat_x, at, epilogue, c,
            False, numbers, 0, False, flat_dx, at,
        )  # fmt: skip


@kernel
def _find_way_back(sums, count, mean, variance, eps, epilogue, c, dgamma, dbeta, numbers):
    """Fill dgamma and dbeta of channel c, and the `numbers` of `channel_combine`."""
    plain, weighted = sums[0], sums[1]
    inverse = 1 / np.sqrt(np.float64(variance[c]) + eps)
    dbeta[c], dgamma[c] = plain, weighted * inverse
    _, gamma, _ = activations.linear(epilogue, c)
    slope = gamma * inverse
    numbers[0], numbers[1] = slope, -slope * inverse**2 * weighted / count
    numbers[2], numbers[3] = mean[c], -slope * plain / count
