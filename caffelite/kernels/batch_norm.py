"""Batch normalization of x (N x C x S) per channel, with an affine part: gamma * xhat + beta.

A channel is read twice in a row, once for its statistics and once for its values, so the second
reading mostly comes from cache. Sums are kept in float64, whatever the arrays hold. gamma, beta and
an activation that follows are those of an `Epilogue`: its slope and offset. Its center is not read.
"""

import numpy as np

from . import affine
from . import epilogue as activations
from ._jit import kernel, prange


@kernel(parallel=True)
def forward(x, eps, epilogue, mean, variance, y, share):
    """y = activation(gamma * (x - mean) / sqrt(variance + eps) + beta).

    Fills mean and variance, of (C,); variance is the mean square about the mean. `y` may be `x`.
    """
    count = x.shape[0] * x.shape[2]
    for c in prange(x.shape[1], share):
        exact_mean, exact_variance = moments(x, c, count)
        mean[c], variance[c] = exact_mean, exact_variance
        _, gamma, beta = activations.linear(epilogue, c)
        slope = gamma / np.sqrt(exact_variance + eps)
        offset = beta + slope * (mean[c] - exact_mean)  # gives back what rounding took
        affine.channel(x, c, np.float64(mean[c]), slope, offset, epilogue, y)


@kernel(any_order=True)
def moments(x, c, count):
    """Mean and variance of channel c.

    Sums run over differences from its first value: squares lose nothing to a large mean.
    """
    start = np.float64(x[0, c, 0])
    plain = squares = 0.0
    for n in range(x.shape[0]):
        row = x[n, c]
        for i in range(row.size):
            d = np.float64(row[i]) - start
            plain += d
            squares += d * d
    variance = squares / count - (plain / count) ** 2
    return start + plain / count, 0.0 if variance < 0 else variance


@kernel(parallel=True)
def backward(y, dy, x, mean, variance, eps, epilogue, dx, dgamma, dbeta, share):
    """The gradient of `forward`, statistics included. With xhat = (x - mean) / sqrt(variance + eps)

        dgamma = sum(dy * xhat), dbeta = sum(dy),
        dx = gamma * (dy - dbeta / m - xhat * dgamma / m) / sqrt(variance + eps), m = N * S

    All three are assigned. `dx` may be `dy`. `y` is read, and `dy` written, where there
    is an activation.
    """
    count = x.shape[0] * x.shape[2]
    for c in prange(x.shape[1], share):
        activations.activation_back(y, dy, epilogue, c)
        inverse = 1 / np.sqrt(np.float64(variance[c]) + eps)
        plain, weighted = affine.products(dy, x, c, np.float64(mean[c]))
        dbeta[c], dgamma[c] = plain, weighted * inverse
        _, gamma, _ = activations.linear(epilogue, c)
        slope = gamma * inverse
        x_slope = -slope * inverse**2 * weighted / count
        combine(dy, slope, x, mean[c], x_slope, -slope * plain / count, c, dx)


@kernel
def combine(dy, slope, x, mean, x_slope, offset, c, dx):
    """dx = slope * dy + x_slope * (x - mean) + offset for channel c, in dx's precision."""
    slope, mean = dx.dtype.type(slope), dx.dtype.type(mean)
    x_slope, offset = dx.dtype.type(x_slope), dx.dtype.type(offset)
    for n in range(x.shape[0]):
        dy_row, x_row, dx_row = dy[n, c], x[n, c], dx[n, c]
        for i in range(x_row.size):
            dx_row[i] = slope * dy_row[i] + x_slope * (x_row[i] - mean) + offset
