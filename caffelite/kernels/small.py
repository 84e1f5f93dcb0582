"""Small arrays in NumPy: in the calling thread, with Caffe's operations in Caffe's order.

Sums are left to OpenBLAS, which NumPy brings and Caffe is mostly built with. On a CPU of the same
kind small nets then train as in Caffe to the last bit. That can show: where rounding is all there
is to a gradient, as with a bias before BatchNorm, AdaGrad and Adam divide it by its own size, and
AdaGrad's loss may move by 2 % within 30 iterations when one weight moves by one bit.

Larger arrays go to the compiled kernels, which work in other orders, faster and often with more
precise sums. What the functions here compute is said there.
"""

import math

import numpy as np

from ._jit import SMALL as LIMIT
from .epilogue import CLIPPED, LEAKY, RELU
from .im2col import OUT, col2im_block, im2col_block

VALUE = 8
"""What a value of an array counts as, where no product is meant."""


def is_small(x):
    return x.size * VALUE <= LIMIT


def is_small_product(m, n, k):
    """Of m by k and k by n values. That of a matrix and a vector counts as one of matrices."""
    return max(m, VALUE) * max(n, VALUE) * k <= LIMIT


silent = np.errstate(all="ignore")
"""As kernels are about what is infinite or no number."""


@silent
def gemm(a, b, out, accumulate):
    if accumulate:
        out += a @ b
    else:
        np.matmul(a, b, out=out)


@silent
def convolve(x, w, y, geometry, group, epilogue):
    pixels = math.prod(geometry[OUT])
    weights, columns = _by_group(w, group), _columns(w, group, pixels)
    for image, product in zip(x, _by_image(y, group, pixels), strict=True):
        _read_windows(image, geometry, columns)
        np.matmul(weights, columns, out=product)
    by_channel = y.reshape(*y.shape[:2], pixels)
    scale(by_channel, epilogue, by_channel)


@silent
def convolve_back(w, dy, dx, geometry, group):
    pixels = math.prod(geometry[OUT])
    weights, columns = _by_group(w, group).transpose(0, 2, 1), _columns(w, group, pixels)
    dx[...] = 0
    for image, product in zip(dx, _by_image(dy, group, pixels), strict=True):
        np.matmul(weights, product, out=columns)
        rows = columns.size // pixels
        col2im_block(
            columns.reshape(-1), 0, pixels, geometry, 0, rows, 0, pixels, image.reshape(-1), 0,
            np.empty_like(geometry[0]),
        )  # fmt: skip


@silent
def weight_gradient(x, dy, dw, geometry, group):
    pixels = math.prod(geometry[OUT])
    gradient, columns = _by_group(dw, group), _columns(dw, group, pixels)
    for image, product in zip(x, _by_image(dy, group, pixels), strict=True):
        _read_windows(image, geometry, columns)
        gradient += product @ columns.transpose(0, 2, 1)


def _by_group(w, group):
    """(M, C / group, *kernel) as (group, M / group, values of a window)."""
    return w.reshape(group, w.shape[0] // group, -1)


def _by_image(y, group, pixels):
    """(N, M, *out) as (N, group, M / group, pixels)."""
    return y.reshape(y.shape[0], group, y.shape[1] // group, pixels)


def _columns(w, group, pixels):
    """Room for the windows of an image: (group, values of a window, pixels)."""
    return np.empty((group, math.prod(w.shape[1:]), pixels), w.dtype)


def _read_windows(image, geometry, columns):
    pixels = columns.shape[2]
    rows = columns.size // pixels
    im2col_block(
        image.reshape(-1), 0, geometry, 0, rows, 0, pixels, columns.reshape(-1), 0, pixels,
        np.empty_like(geometry[0]),
    )  # fmt: skip


@silent
def scale(x, epilogue, y):
    if epilogue.slope.size:
        np.subtract(x, epilogue.center[:, None], out=y)
        y *= epilogue.slope[:, None]
        y += epilogue.offset[:, None]
    elif y is not x:
        y[...] = x
    _activate(y, epilogue)


def _activate(y, epilogue):
    if epilogue.activation == RELU:
        np.maximum(y, 0, out=y)
    elif epilogue.activation == LEAKY:
        y[...] = np.where(y > 0, y, y * epilogue.leak[:, None])
    elif epilogue.activation == CLIPPED:
        np.clip(y, epilogue.low, epilogue.high, out=y)


def _activation_back(y, dy, epilogue):
    if epilogue.activation == RELU:
        dy *= y > 0
    elif epilogue.activation == LEAKY:
        dy[...] = np.where(y > 0, dy, dy * epilogue.leak[:, None])
    elif epilogue.activation == CLIPPED:
        dy *= (y > epilogue.low) & (y < epilogue.high)


@silent
def scale_back(y, dy, x, epilogue, dx, dslope, doffset):
    _activation_back(y, dy, epilogue)
    scale_sums(dy, x, epilogue.center, dslope, doffset)
    np.multiply(dy, epilogue.slope[:, None], out=dx)


@silent
def scale_sums(dy, x, center, dslope, doffset):
    doffset[...] = 0
    _add_bias_gradient(dy, doffset)
    dslope[...] = _channel_sums(dy * (x - center[:, None]))


@silent
def bias_back(y, dy, epilogue, db):
    _activation_back(y, dy, epilogue)
    _add_bias_gradient(dy, db)


def _add_bias_gradient(dy, db):
    ones = np.ones(dy.shape[2], dy.dtype)
    for image in dy:
        db += image @ ones


def _channel_sums(x, factor=1):
    """factor * the sum of x, N x C x S, for each channel: over pixels first, then over images."""
    images, channels, pixels = x.shape
    rows = x.reshape(images * channels, pixels) @ np.ones(pixels, x.dtype) * x.dtype.type(factor)
    return np.ones(images, x.dtype) @ rows.reshape(images, channels)


@silent
def normalize(x, eps, epilogue, mean, variance, y):
    share = 1 / (x.shape[0] * x.shape[2])
    mean[...] = _channel_sums(x, share)
    np.subtract(x, mean[:, None], out=y)
    variance[...] = _channel_sums(y * y, share)
    y /= np.sqrt(variance + y.dtype.type(eps))[:, None]
    scale(y, epilogue._replace(center=np.zeros_like(epilogue.slope)), y)


@silent
def normalize_back(y, dy, x, mean, variance, eps, epilogue, dx, dgamma, dbeta):
    _activation_back(y, dy, epilogue)
    deviation = np.sqrt(variance + x.dtype.type(eps))[:, None]
    xhat = (x - mean[:, None]) / deviation
    scale_sums(dy, xhat, np.zeros_like(mean), dgamma, dbeta)
    np.multiply(dy, epilogue.slope[:, None], out=dx)
    common = xhat * _channel_sums(xhat * dx)[:, None]
    common += _channel_sums(dx)[:, None]
    common *= x.dtype.type(-1 / (x.shape[0] * x.shape[2]))
    dx += common
    dx /= deviation
