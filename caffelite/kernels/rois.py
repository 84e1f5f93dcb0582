"""Regions of maps, each pooled to a grid of bins: x is (N, C, H, W), y (R, C, rows, columns).

Region r lies on map `image[r]`. What a bin covers along an axis, `*_spans` say: (R, bins, 2), its
first cell and its last + 1, none if they are equal. Channels are looked at LANES at a time, whose
values are laid beside each other first. Threads take whole channels, so that their number changes
no bit of a result; gradients of regions that overlap add up in the order of the regions.
"""

import numpy as np

from ._jit import kernel, prange, thread_count
from ._windows import LOWEST
from ._workspace import workspace_rows

LANES = 32
ROUND = 8
"""Multiplications that a cell of a bin is worth, where they are counted for threads."""


# What bins cover


def _rounded(x):
    """x to the nearest whole numbers, halves away from 0, as C rounds."""
    whole = np.trunc(x)
    return whole + np.sign(x) * (abs(x - whole) >= 0.5)


def _edges(extent, bins):
    """Where the bins of each region begin and end, from its start on."""
    at = np.arange(bins + 1, dtype=extent.dtype) * (extent / extent.dtype.type(bins))[:, None]
    return at[:, :-1], at[:, 1:]


def _cells(first, last, size):
    return np.stack([first, last], axis=-1).clip(0, size).astype(np.int32)


def max_spans(low, high, scale, bins, size):
    """Regions from `low` to `high`, the last pixel, on an axis of `size`: scaled, then rounded.

    Each is a cell long at least; bins are made of whole cells, which neighbours may share.
    """
    low, high = _rounded(low * scale), _rounded(high * scale)
    first, last = _edges(np.maximum(high - low + 1, 1), bins)
    return _cells(np.floor(first) + low[:, None], np.ceil(last) + low[:, None], size)


def average_spans(low, high, scale, bins, size):
    """As `max_spans`, but rounded, then scaled; each region is a tenth of a cell long at least."""
    low, high = _rounded(low) * scale, (_rounded(high) + 1) * scale
    first, last = _edges(np.maximum(high - low, low.dtype.type(0.1)), bins)
    return _cells(np.floor(first + low[:, None]), np.ceil(last + low[:, None]), size)


def align_spans(low, high, scale, bins, samples, size):
    """(spans, weights): how much of each cell of its span a bin takes, (R, bins, most cells).

    Nothing is rounded, and `high` is where a region ends; it is a cell long at least. A bin takes
    the mean of `samples` places, evenly spaced, or with 0 of as many as it is cells long, rounded
    up. A place lies between two cells, whose centers are whole numbers; up to a cell beyond the
    map it is the last cell's, and further out it counts as 0.
    """
    low, high = low * scale, high * scale
    each = np.maximum(high - low, 1) / low.dtype.type(bins)
    samples = np.full(len(low), samples) if samples else np.ceil(each).astype(np.int64)
    most = min(size, int(np.ceil(each.max(initial=0))) + 2)
    spans = np.zeros((len(low), bins, 2), np.int32)
    weights = np.zeros((len(low), bins, most), low.dtype)
    _weigh(low, each, samples, size, spans, weights)
    return spans, weights


@kernel
def _weigh(low, each, samples, size, spans, weights):
    for r in range(len(low)):
        share = 1 / weights.dtype.type(samples[r])
        for i in range(spans.shape[1]):
            first, last = size, 0
            for s in range(samples[r]):
                at = low[r] + i * each[r] + (s + low.dtype.type(0.5)) * each[r] / samples[r]
                if at < -1 or at > size:
                    continue
                at = min(max(at, 0), size - 1)
                cell = min(int(at), max(size - 2, 0))
                if first == size:
                    first = cell
                beyond = at - cell
                weights[r, i, cell - first] += (1 - beyond) * share
                last = cell + 1
                if beyond > 0:
                    weights[r, i, last - first] += beyond * share
                    last += 1
            spans[r, i, 0], spans[r, i, 1] = min(first, last), last


# Kernels


def _threads(x, rows, columns):
    """As many as are worth it for all cells of all bins, and of use for the channels."""
    cells = (rows[..., 1] - rows[..., 0]).sum(1) @ (columns[..., 1] - columns[..., 0]).sum(1)
    channels = x.shape[1]
    return min(thread_count(ROUND * int(cells) * channels), max(1, -(-channels // LANES)))


@kernel
def _lay(x, lanes, plane):
    """plane[cell * LANES + k] = x[k, cell] of the first `lanes` channels; those beyond are 0."""
    for k in range(lanes):
        for cell in range(x.shape[1]):
            plane[cell * LANES + k] = x[k, cell]
    for k in range(lanes, LANES):
        for cell in range(x.shape[1]):
            plane[cell * LANES + k] = 0


@kernel
def _take_up(plane, lanes, x):
    """The way back from `_lay`."""
    for k in range(lanes):
        for cell in range(x.shape[1]):
            x[k, cell] = plane[cell * LANES + k]


def max_forward(x, image, rows, columns, y, argmax):
    """y = the largest value in each bin, 0 in one without cells; argmax = its cell, -1 for none.

    Of equals the first one wins, row by row; only values above LOWEST count, NaN does not. With
    an argmax of size 0 it is left out.
    """
    threads = _threads(x, rows, columns)
    n, c, height, width = x.shape
    work = workspace_rows(x.dtype, threads, (height * width + width + 1) * LANES)
    places = workspace_rows(np.int32, threads, (width + 1) * LANES)
    cells = x.reshape(n, c, -1)
    _max_forward.on(threads)(cells, width, image, rows, columns, y, argmax, work, places)


@kernel(parallel=True)
def _max_forward(x, width, image, rows, columns, y, argmax, work, places, share):
    thread = share[0]
    maps, channels, cells = x.shape
    blocks = (channels + LANES - 1) // LANES
    plane, line = work[thread, : cells * LANES], work[thread, cells * LANES :]
    for block in prange(blocks, share):
        c = block * LANES
        lanes = min(LANES, channels - c)
        for n in range(maps):
            _lay(x[n, c:], lanes, plane)
            for r in range(len(image)):
                if image[r] == n:
                    _max_region(
                        plane, width, rows[r], columns[r], line, places[thread], lanes,
                        y[r, c:], argmax[r:, c:],
                    )  # fmt: skip


@kernel
def _max_region(plane, width, rows, columns, line, places, lanes, y, argmax):
    """The rows of a bin leave their largest values in a line, whose columns the bin looks at."""
    left, right = columns[:, 0].min(), columns[:, 1].max()
    best, best_at = line[-LANES:], places[-LANES:]
    line, places = line[left * LANES : right * LANES], places[left * LANES : right * LANES]
    for i in range(len(rows)):
        line[:] = LOWEST
        places[:] = -1
        for h in range(rows[i, 0], rows[i, 1]):
            start = h * width + left
            _raise_line(plane[start * LANES :], start, line, places)
        for j in range(len(columns)):
            empty = rows[i, 0] >= rows[i, 1] or columns[j, 0] >= columns[j, 1]
            best[:] = 0 if empty else LOWEST
            best_at[:] = -1
            for w in range(columns[j, 0] - left, columns[j, 1] - left):
                _raise_bin(line[w * LANES :], places[w * LANES :], best, best_at)
            for k in range(lanes):
                y[k, i, j] = best[k]
            if argmax.size:
                for k in range(lanes):
                    argmax[0, k, i, j] = best_at[k]


@kernel
def _raise_line(values, start, line, places):
    for k in range(len(line)):
        larger = values[k] > line[k]
        line[k] = values[k] if larger else line[k]
        places[k] = np.int32(start + k // LANES) if larger else places[k]


@kernel
def _raise_bin(values, places, best, best_at):
    for k in range(len(best)):  # not LANES: of a number that it knows, LLVM makes no vectors
        first = (values[k] == best[k]) & (places[k] < best_at[k])
        larger = (values[k] > best[k]) | first
        best[k] = values[k] if larger else best[k]
        best_at[k] = places[k] if larger else best_at[k]


@kernel(parallel=True)
def max_backward(dy, argmax, image, dx, share):
    """dx = for each cell, the sum of dy over the bins that it won."""
    maps, channels = dx.shape[:2]
    for c in prange(channels, share):
        for n in range(maps):
            dx[n, c] = 0
        for r in range(len(image)):
            plane = dx[image[r], c].reshape(-1)
            given, won = dy[r, c].reshape(-1), argmax[r, c].reshape(-1)
            for o in range(given.size):
                if won[o] >= 0:
                    plane[won[o]] += given[o]


@kernel(parallel=True)
def average_forward(x, image, rows, columns, y, share):
    """y = the mean over each bin, of channel (c rows + i) columns + j for bin (i, j); 0 of none."""
    channels, bins_h, bins_w = y.shape[1:]
    for o in prange(channels * bins_h * bins_w, share):
        c, i, j = o // (bins_h * bins_w), o // bins_w % bins_h, o % bins_w
        for r in range(len(image)):
            (top, bottom), (left, right) = rows[r, i], columns[r, j]
            total = x.dtype.type(0)
            for h in range(top, bottom):
                for w in range(left, right):
                    total += x[image[r], o, h, w]
            y[r, c, i, j] = total / max((bottom - top) * (right - left), 1)


@kernel(parallel=True)
def average_backward(dy, image, rows, columns, dx, share):
    """dx = for each value, the sum of dy / cells over the bins that it is in."""
    maps = len(dx)
    channels, bins_h, bins_w = dy.shape[1:]
    for o in prange(channels * bins_h * bins_w, share):
        c, i, j = o // (bins_h * bins_w), o // bins_w % bins_h, o % bins_w
        for n in range(maps):
            dx[n, o] = 0
        for r in range(len(image)):
            (top, bottom), (left, right) = rows[r, i], columns[r, j]
            share = dy[r, c, i, j] / max((bottom - top) * (right - left), 1)
            for h in range(top, bottom):
                for w in range(left, right):
                    dx[image[r], o, h, w] += share


def align_forward(x, image, rows, row_weights, columns, column_weights, y):
    """y = the cells of each bin, weighted."""
    _align(_align_forward, x, image, rows, row_weights, columns, column_weights, y)


def align_backward(dy, image, rows, row_weights, columns, column_weights, dx):
    """dx = for each cell, the sum of dy times its weight over the bins that it is in."""
    _align(_align_backward, dx, image, rows, row_weights, columns, column_weights, dy)


def _align(kernel, x, image, rows, row_weights, columns, column_weights, y):
    threads = _threads(x, rows, columns)
    n, c, height, width = x.shape
    work = workspace_rows(x.dtype, threads, (height + 1) * width * LANES)
    cells, bins = x.reshape(n, c, -1), y.reshape(*y.shape[:2], -1)
    kernel.on(threads)(cells, width, image, rows, row_weights, columns, column_weights, bins, work)


@kernel(parallel=True, fused=True)
def _align_forward(x, width, image, rows, row_weights, columns, column_weights, y, work, share):
    thread = share[0]
    maps, channels, cells = x.shape
    blocks = (channels + LANES - 1) // LANES
    plane, line = work[thread, : cells * LANES], work[thread, cells * LANES :]
    for block in prange(blocks, share):
        c = block * LANES
        lanes = min(LANES, channels - c)
        for n in range(maps):
            _lay(x[n, c:], lanes, plane)
            for r in range(len(image)):
                if image[r] == n:
                    _align_region(
                        plane, width, rows[r], row_weights[r], columns[r], column_weights[r],
                        line, lanes, y[r, c:],
                    )  # fmt: skip


@kernel(fused=True)
def _align_region(plane, width, rows, row_weights, columns, column_weights, line, lanes, y):
    """The rows of a bin add up to a line, whose values its columns add up."""
    left, right = columns[:, 0].min(), columns[:, 1].max()
    for i in range(len(rows)):
        line[left * LANES : right * LANES] = 0
        for h in range(rows[i, 0], rows[i, 1]):
            weight = row_weights[i, h - rows[i, 0]]
            given = plane[h * width * LANES : (h + 1) * width * LANES]
            for at in range(left * LANES, right * LANES):
                line[at] += weight * given[at]
        for j in range(len(columns)):
            bin_at = i * len(columns) + j
            for k in range(lanes):
                total = weight = line.dtype.type(0)
                for w in range(columns[j, 0], columns[j, 1]):
                    weight = column_weights[j, w - columns[j, 0]]
                    total += weight * line[w * LANES + k]
                y[k, bin_at] = total


@kernel(parallel=True, fused=True)
def _align_backward(dx, width, image, rows, row_weights, columns, column_weights, dy, work, share):
    thread = share[0]
    maps, channels, cells = dx.shape
    blocks = (channels + LANES - 1) // LANES
    plane, line = work[thread, : cells * LANES], work[thread, cells * LANES :]
    for block in prange(blocks, share):
        c = block * LANES
        lanes = min(LANES, channels - c)
        for n in range(maps):
            plane[:] = 0
            for r in range(len(image)):
                if image[r] == n:
                    _align_back(
                        dy[r, c:], lanes, width, rows[r], row_weights[r], columns[r],
                        column_weights[r], line, plane,
                    )  # fmt: skip
            _take_up(plane, lanes, dx[n, c:])


@kernel(fused=True)
def _align_back(dy, lanes, width, rows, row_weights, columns, column_weights, line, plane):
    """As `_align_region`, the other way round."""
    left, right = columns[:, 0].min(), columns[:, 1].max()
    for i in range(len(rows)):
        line[left * LANES : right * LANES] = 0
        for j in range(len(columns)):
            bin_at = i * len(columns) + j
            for w in range(columns[j, 0], columns[j, 1]):
                weight = column_weights[j, w - columns[j, 0]]
                for k in range(lanes):
                    line[w * LANES + k] += weight * dy[k, bin_at]
        for h in range(rows[i, 0], rows[i, 1]):
            weight = row_weights[i, h - rows[i, 0]]
            given = plane[h * width * LANES : (h + 1) * width * LANES]
            for at in range(left * LANES, right * LANES):
                given[at] += weight * line[at]
