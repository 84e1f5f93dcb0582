"""Twins of the vision layers."""

import itertools
import math

import numpy as np

from . import pooling as planes


def _each_axis(value, axes):
    return (value,) * axes if isinstance(value, int) else tuple(value)


def conv_size(size, kernel, stride, pad, dilation):
    return math.trunc((size + 2 * pad - dilation * (kernel - 1) - 1) / stride) + 1


def deconv_size(size, kernel, stride, pad, dilation):
    return stride * (size - 1) + dilation * (kernel - 1) + 1 - 2 * pad


def _taps(small, large, kernel, stride, pad, dilation):
    """For each kernel offset k: slices (of outputs o, of inputs o * stride + k * dilation - pad),
    for the positions inside `large`."""
    for k in itertools.product(*map(range, kernel)):
        outs, ins = [], []
        for axis, at in enumerate(k):
            shift = at * dilation[axis] - pad[axis]
            o = [i for i in range(small[axis]) if 0 <= i * stride[axis] + shift < large[axis]]
            outs.append(np.array(o, int))
            ins.append(np.array(o, int) * stride[axis] + shift)
        yield k, np.ix_(*outs), np.ix_(*ins)


def convolution(
    x, w, b=None, stride=1, pad=0, dilation=1, group=1, axis=1, size=conv_size, *, transposed=False
):
    """One bottom; transposed: x and y change places, w is (C, M / group, ...)."""
    batch, channels, space = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    kernel, axes = w.shape[2:], len(space)
    stride, pad, dilation = (_each_axis(v, axes) for v in (stride, pad, dilation))
    out = tuple(map(size, space, kernel, stride, pad, dilation))
    outputs = w.shape[1] * group if transposed else w.shape[0]
    x = x.reshape(math.prod(batch), group, channels // group, *space)
    w = w.reshape(group, w.shape[0] // group, *w.shape[1:])
    y = np.zeros((len(x), group, outputs // group, *out))
    spaces = (space, out) if transposed else (out, space)
    for k, small, large in _taps(*spaces, kernel, stride, pad, dilation):
        read, write = (small, large) if transposed else (large, small)
        equation = "ngc...,gcm->ngm..." if transposed else "ngc...,gmc->ngm..."
        y[(..., *write)] += np.einsum(equation, x[(..., *read)], w[(..., *k)])
    y = y.reshape(*batch, outputs, *out)
    return y if b is None else y + b.reshape(-1, *[1] * axes)


def convolution_of_two(x0, x1, w, b, **options):
    return [convolution(x, w, b, **options) for x in (x0, x1)]


def deconvolution(x, w, b=None, **options):
    return convolution(x, w, b, size=deconv_size, transposed=True, **options)


def deconvolution_of_two(x0, x1, w, b, **options):
    return [deconvolution(x, w, b, **options) for x in (x0, x1)]


def pool_size(size, kernel, stride, pad, floor):
    out = (math.floor if floor else math.ceil)((size + 2 * pad - kernel) / stride) + 1
    return out - 1 if pad and (out - 1) * stride >= size + pad else out


def pooling(x, method="MAX", kernel=None, stride=1, pad=0, floor=False, draws=None):
    """y, or with "MASK": [y, mask]; without a kernel, global."""
    n, c, *space = x.shape
    kernel, stride, pad = (_each_axis(v, 2) for v in (kernel or tuple(space), stride, pad))
    out = [pool_size(*sizes, floor) for sizes in zip(space, kernel, stride, pad, strict=True)]
    x, y = x.reshape(n * c, *space), np.empty((n * c, *out))
    window, argmax = (*kernel, *stride, *pad), np.empty(y.shape, int)
    run = {
        "MAX": lambda: planes.max_values(x, window, y),
        "MASK": lambda: planes.max_forward(x, window, y, argmax),
        "AVE": lambda: planes.average_forward(x, window, y),
        "EXPECTED": lambda: planes.expected_forward(x, window, y),
        "L2": lambda: planes.l2_forward(x, window, y),
    }
    run[method]()
    shape = (n, c, *out)
    return [y.reshape(shape), argmax.reshape(shape)] if method == "MASK" else y.reshape(shape)


def im2col(x, kernel, stride=1, pad=0, dilation=1, axis=1):
    batch, channels, space = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    axes = len(space)
    kernel, stride, pad, dilation = (_each_axis(v, axes) for v in (kernel, stride, pad, dilation))
    out = tuple(map(conv_size, space, kernel, stride, pad, dilation))
    y = np.zeros((*batch, channels, *kernel, *out))
    for k, write, read in _taps(out, space, kernel, stride, pad, dilation):
        y[(*(slice(None),) * (axis + 1), *k)][(..., *write)] = x[(..., *read)]
    return y.reshape(*batch, channels * math.prod(kernel), *out)


def spp(x, levels, method="MAX"):
    parts = []
    for bins in 2 ** np.arange(levels):
        kernel = [math.ceil(size / bins) for size in x.shape[2:]]
        pad = [int((k * bins - n + 1) / 2) for k, n in zip(kernel, x.shape[2:], strict=True)]
        parts.append(pooling(x, method, kernel, stride=kernel, pad=pad))
    return parts[0] if levels == 1 else np.concatenate([p.reshape(len(x), -1) for p in parts], 1)


def interp(x, rows, columns, corners=True):
    """Linear along each axis: numpy's, at evenly spread positions, from corner to corner or not."""
    for axis, count in ((2, rows), (3, columns)):
        size = x.shape[axis]
        at = np.linspace(0, size - 1, count) if count > 1 else [0.0]
        if not corners:
            at = [(i + 0.5) * size / count - 0.5 for i in range(count)]
        x = np.apply_along_axis(lambda line: np.interp(at, np.arange(size), line), axis, x)  # noqa: B023
    return x


def unpool(x, mask, rows, columns):
    y = np.zeros((*x.shape[:2], rows * columns))
    for n, c, h, w in np.ndindex(x.shape):
        y[n, c, int(mask[n, c, h, w])] = x[n, c, h, w]
    return y.reshape(*x.shape[:2], rows, columns)


def spatial_transformer(x, theta, rows, columns, fixed=()):
    """Every place by the formula, each pixel nearer than 1 with its share."""
    given = iter(theta.reshape(len(theta), -1).T)
    whole = [
        np.full(len(theta), dict(fixed)[i]) if i in dict(fixed) else next(given) for i in range(6)
    ]
    size, y = x.shape[2:], np.zeros((*x.shape[:2], rows, columns))
    for n, s, t in np.ndindex(len(x), rows, columns):
        p = np.array(whole)[:, n].reshape(2, 3) @ (2 * s / rows - 1, 2 * t / columns - 1, 1)
        v, u = (p + 1) / 2 * size
        for h, w in np.ndindex(*size):
            y[n, :, s, t] += max(0, 1 - abs(v - h)) * max(0, 1 - abs(u - w)) * x[n, :, h, w]
    return y


def reflection_pad(x, pad):
    n, c, h, w = x.shape
    y = np.empty((n, c, h + 2 * pad, w + 2 * pad))
    for i, j in np.ndindex(y.shape[2:]):
        row, column = (
            min(abs(place - pad), 2 * (side - 1) - abs(place - pad))
            for place, side in ((i, h), (j, w))
        )
        y[:, :, i, j] = x[:, :, row, column]
    return y


def pixel_shuffle(x, r):
    n, c, h, w = x.shape
    y = np.empty((n, c // r**2, h * r, w * r))
    for k, i, j in np.ndindex(y.shape[1:]):
        y[:, k, i, j] = x[:, k * r**2 + i % r * r + j % r, i // r, j // r]
    return y
