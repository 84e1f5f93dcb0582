from functools import reduce

import numpy as np


def concat(*x, axis=1):
    return np.concatenate(x, axis)


def sliced(x, tops=None, points=None, axis=1):
    return np.split(x, points or tops, axis)


def weighted_sum(*x, coeff):
    return sum(c * v for c, v in zip(coeff, x, strict=True))


def sum_by_blob(*bottoms, coeff=(1, 1)):
    *x, factors = bottoms
    y = np.zeros(x[0].shape)
    for i, n in np.ndindex(len(x), len(y)):
        y[n] += coeff[i] * factors[i, n] * x[i][n]
    return y


def tile(x, tiles, axis=1):
    return np.concatenate([x] * tiles, axis)


def reduction(x, of=lambda v: v, axis=0, factor=1.0):
    return factor * of(x).reshape(*x.shape[:axis], -1).sum(-1)


def arg_max(x, k=1, values=False):
    """Positions, and behind them values, of the k largest, by sorting (value, position)."""
    rows = []
    for sample in x.reshape(len(x), -1):
        best = sorted(((v, i) for i, v in enumerate(sample)), reverse=True)[:k]
        rows.append([[i for _, i in best]] + [[v for v, _ in best]] * values)
    shape = (len(x), 1 + values, k, *(1,) * (x.ndim - 3))
    return np.asarray(rows, float).reshape(shape)


def arg_max_along(x, axis, k=1, values=False):
    def best(line):
        found = sorted(((v, i) for i, v in enumerate(line)), reverse=True)[:k]
        return [v if values else i for v, i in found]

    return np.apply_along_axis(best, axis, x).astype(float)


def selected(*bottoms):
    *x, selector = bottoms
    return [v[selector.reshape(-1) != 0] for v in x]


def axpy(a, x, y):
    z = y.copy()
    for n, c in np.ndindex(x.shape[:2]):
        z[n, c] += a[n, c].item() * x[n, c]
    return z


def flip(x, height, width):
    y = x.copy()
    rows, columns = x.shape[2:]
    for h, w in np.ndindex(rows, columns):
        y[:, :, h, w] = x[:, :, rows - 1 - h if height else h, columns - 1 - w if width else w]
    return y


def gram_matrix(x, normalize=False):
    f = x.reshape(*x.shape[:2], -1)
    gram = np.empty((*x.shape[:2], x.shape[1]))
    for n, i, j in np.ndindex(gram.shape):
        gram[n, i, j] = sum(f[n, i, k] * f[n, j, k] for k in range(f.shape[2]))
    return gram / np.prod(x.shape[1:]) if normalize else gram


def reorg(x, stride, reverse=False):
    n, c, h, w = x.shape
    s, r = stride, c // stride**2
    wide = np.empty((n, r, h * s, w * s)) if reverse else x.reshape(n, r, h * s, w * s)
    deep = x if reverse else np.empty(x.shape)
    for k, j, i in np.ndindex(c, h, w):
        a, b = divmod(k, r)
        at = slice(None), b, j * s + a // s, i * s + a % s
        if reverse:
            wide[at] = deep[:, k, j, i]
        else:
            deep[:, k, j, i] = wide[at]
    return wide if reverse else deep.reshape(n, c * s * s, h // s, w // s)


def maxout(x, pieces, axis=1):
    return maximum(*np.split(x, pieces, axis))


def product(*x):
    return reduce(np.multiply, x)


def maximum(*x):
    return reduce(np.maximum, x)


def label_distribution(x, classes, first=0, deviation=1, normalize=True):
    y = np.empty((len(x), classes))
    for n, k in np.ndindex(*y.shape):
        y[n, k] = np.exp(-((first + k - x.flat[n]) ** 2) / (2 * deviation**2)) / deviation
    return y / y.sum(axis=1, keepdims=True) if normalize else y


def expectation(x, first=0, axis=1):
    y = np.zeros_like(x.take([0], axis))
    for k in range(x.shape[axis]):
        y += (first + k) * x.take([k], axis)
    return y
