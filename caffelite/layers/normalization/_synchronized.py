"""Normalizing channels by the statistics of a batch of which several processes have a part each.

What `batch_norm.forward` and `backward` do, with an exchange in the middle: of each part's mean and
variance, and of the sums that make up the gradient. Parts have as many values as each other.
"""

import numpy as np

from ...kernels import affine, batch_norm
from ...kernels.epilogue import Epilogue


def forward(layer, x, owner, activation, y):
    """Fill y, and the layer's mean and variance, those of the whole batch."""
    count = x.shape[0] * x.shape[2]
    own = np.array([batch_norm.moments(x, c, count) for c in range(layer.channels)])
    means, variances = np.moveaxis(layer.gathered(own), -1, 0)  # of each part, in float64
    mean = means.mean(axis=0)
    variance = (variances + (means - mean) ** 2).mean(axis=0)
    layer.mean[...], layer.variance[...] = mean, variance
    scale, bias = _of(owner)
    slope = scale / np.sqrt(variance + layer.eps)
    offset = bias + slope * (layer.mean - mean)  # gives back what rounding took
    numbers = (array.astype(layer.dtype) for array in (layer.mean, slope, offset))
    affine.forward(x, Epilogue.of(layer.dtype, layer.channels, *numbers, **activation), y)


def backward(layer, y, dy, x, owner, activation, dx):
    """Fill dx; returns the gradients of scale and bias by this part of the batch."""
    inverse = 1 / np.sqrt(layer.variance.astype(np.float64) + layer.eps)
    slope = _of(owner)[0] * inverse
    weighted, plain = np.empty((2, layer.channels), layer.dtype)
    numbers = layer.mean, slope.astype(layer.dtype)
    epilogue = Epilogue.of(layer.dtype, layer.channels, *numbers, **activation)
    affine.backward(y, dy, x, epilogue, dx, weighted, plain)  # dx = slope * dy
    every = layer.gathered(np.stack([weighted, plain]).astype(np.float64))
    of_x, of_one = every.sum(axis=0) / (len(every) * x.shape[0] * x.shape[2])
    x_slope = (-slope * inverse**2 * of_x).astype(layer.dtype)[:, None]
    dx += x_slope * (x - layer.mean[:, None]) - (slope * of_one).astype(layer.dtype)[:, None]
    return (weighted * inverse).astype(layer.dtype), plain


def _of(owner):
    """Scale and bias, in float64."""
    of_blobs = ((owner.scale, 1.0), (owner.bias, 0.0))
    return [np.float64(one if blob is None else blob.data.reshape(-1)) for blob, one in of_blobs]
