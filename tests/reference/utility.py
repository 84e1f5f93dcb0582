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


def product(*x):
    return reduce(np.multiply, x)


def maximum(*x):
    return reduce(np.maximum, x)
