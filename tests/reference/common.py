import numpy as np


def inner_product(x, weight, bias=None, axis=1, transpose=False):
    before = np.shape(x)[: axis % np.ndim(x)]
    rows = np.reshape(x, (*before, -1))
    y = np.einsum("...k,kn->...n" if transpose else "...k,nk->...n", rows, weight)
    return y if bias is None else y + bias


def margin_inner_product(x, labels, weight, times=None, ratio=0):
    """By the angles themselves; without `times` the product alone, else with what lambda is."""
    x = x.reshape(len(x), weight.shape[1])
    weight = weight / np.sqrt((weight**2).sum(1, keepdims=True))
    y = x @ weight.T
    for i, label in enumerate(labels.ravel().astype(int)):
        length = np.sqrt((x[i] ** 2).sum())
        angle = np.arccos(y[i, label] / length)
        k = np.floor((times or 1) * angle / np.pi)
        f = (-1) ** k * np.cos((times or 1) * angle) - 2 * k
        y[i, label] = (length * f + ratio * y[i, label]) / (1 + ratio)
    return [y, np.array([ratio])] if times else y


def embed(x, weight, bias=0):
    return np.array([weight[int(i)] + bias for i in x.flat]).reshape(*x.shape, weight.shape[1])
