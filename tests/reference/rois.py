"""Slow, obvious twins of caffelite/kernels/rois.py, a bin at a time."""

import math

import numpy as np


def rounded(x):
    return math.copysign(math.floor(abs(x) + 0.5), x)


def cells(first, last, size):
    return [min(max(int(end), 0), size) for end in (math.floor(first), math.ceil(last))]


def max_spans(low, high, scale, bins, size):
    spans = []
    for start, end in zip(low * scale, high * scale, strict=True):
        start, end = rounded(start), rounded(end)
        each = max(end - start + 1, 1) / bins
        spans.append([cells(start + i * each, start + (i + 1) * each, size) for i in range(bins)])
    return np.reshape(spans, (len(low), bins, 2))


def average_spans(low, high, scale, bins, size):
    spans = []
    for start, end in zip(low, high, strict=True):
        start, end = rounded(start) * scale, (rounded(end) + 1) * scale
        each = max(end - start, 0.1) / bins
        spans.append([cells(start + i * each, start + (i + 1) * each, size) for i in range(bins)])
    return np.reshape(spans, (len(low), bins, 2))


def align_spans(low, high, scale, bins, samples, size):
    """Weights of all cells: the kernel's are those of the span alone, see `dense`."""
    weights = np.zeros((len(low), bins, size))
    for r, (start, end) in enumerate(zip(low * scale, high * scale, strict=True)):
        each = max(end - start, 1) / bins
        count = samples or math.ceil(each)
        for i in range(bins):
            for s in range(count):
                at = start + (i + (s + 0.5) / count) * each
                if -1 <= at <= size:
                    at = min(max(at, 0), size - 1)
                    for cell in range(size):
                        weights[r, i, cell] += max(0, 1 - abs(at - cell)) / count
    return weights


def dense(spans, weights, size):
    """The weights of spans as those of all cells."""
    all_cells = np.zeros((*weights.shape[:2], size))
    for r, i in np.ndindex(weights.shape[:2]):
        first, last = spans[r, i]
        all_cells[r, i, first:last] = weights[r, i, : last - first]
    return all_cells


def bins_of(image, rows, columns):
    """(region, map, row and column of the bin, its cells) for all bins."""
    for r, i, j in np.ndindex(len(image), rows.shape[1], columns.shape[1]):
        yield r, image[r], i, j, [
            (h, w) for h in range(*rows[r, i]) for w in range(*columns[r, j])
        ]  # fmt: skip


def max_forward(x, image, rows, columns, y, argmax):
    for r, n, i, j, found in bins_of(image, rows, columns):
        for c in range(x.shape[1]):
            won = max(found, key=lambda at: x[(n, c, *at)], default=None)
            y[r, c, i, j] = 0 if won is None else x[(n, c, *won)]
            argmax[r, c, i, j] = -1 if won is None else won[0] * x.shape[3] + won[1]


def max_backward(dy, argmax, image, dx):
    dx[...] = 0
    for r, c, i, j in np.ndindex(dy.shape):
        if argmax[r, c, i, j] >= 0:
            dx[image[r], c].flat[argmax[r, c, i, j]] += dy[r, c, i, j]


def average_forward(x, image, rows, columns, y):
    for r, n, i, j, found in bins_of(image, rows, columns):
        for c in range(y.shape[1]):
            channel = (c * y.shape[2] + i) * y.shape[3] + j
            y[r, c, i, j] = sum(x[(n, channel, *at)] for at in found) / max(len(found), 1)


def average_backward(dy, image, rows, columns, dx):
    dx[...] = 0
    for r, n, i, j, found in bins_of(image, rows, columns):
        for c in range(dy.shape[1]):
            channel = (c * dy.shape[2] + i) * dy.shape[3] + j
            for at in found:
                dx[(n, channel, *at)] += dy[r, c, i, j] / len(found)


def align_forward(x, image, rows, row_weights, columns, column_weights, y):
    for r, n, i, j, found in bins_of(image, rows, columns):
        y[r, :, i, j] = 0
        for h, w in found:
            weight = row_weights[r, i, h - rows[r, i, 0]]
            weight = weight * column_weights[r, j, w - columns[r, j, 0]]
            y[r, :, i, j] += weight * x[n, :, h, w]


def align_backward(dy, image, rows, row_weights, columns, column_weights, dx):
    dx[...] = 0
    for r, n, i, j, found in bins_of(image, rows, columns):
        for h, w in found:
            weight = row_weights[r, i, h - rows[r, i, 0]]
            weight = weight * column_weights[r, j, w - columns[r, j, 0]]
            dx[n, :, h, w] += weight * dy[r, :, i, j]
