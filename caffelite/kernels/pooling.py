"""Pooling over planes: x and dx are (planes, height, width), y and dy (planes, rows, columns).

`window` is (kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w). Window (i, j) starts at row
i * stride_h - pad_h and column j * stride_w - pad_w and is clipped to the plane. Threads take
whole planes, so their number changes no bit of a result. All arrays are contiguous.
"""

import math

import numpy as np

from ._jit import kernel, prange, threads_over
from ._max_lines import SIZES, max_lines
from ._simd import total
from ._windows import window_argmax, window_max, window_sum
from ._workspace import workspace_rows

GATHERED = 4
"""Pixels for one window up to which the gradient of an average is gathered at stride 1: of many
more, most of what is looked at lies outside the windows."""


@kernel
def _span(at, kernel, stride, pad, size):
    """First and last + 1 of the positions that window `at` covers along an axis of `size`."""
    start = at * stride - pad
    return max(start, 0), min(start + kernel, size)


@kernel
def _clip(left, run, kernel, width):
    """(left, columns) of windows without the columns that none of them has on the plane.

    The first window starts at `left`, the last one `run` further on.
    """
    first = max(-left - run, 0)
    return left + first, min(kernel, width - left) - first


@kernel
def _run(columns, stride):
    """How many windows the vector operations take in one go, and at what stride."""
    return (columns, stride) if stride <= 2 else (1, 1)


@kernel(parallel=True)
def max_forward(x, window, y, argmax, share):
    """y = the largest value in each window, argmax = its h * width + w, the first of equals.

    Only values above LOWEST (not NaN) count; a window without any gets LOWEST and argmax -1.
    """
    planes, height, width = x.shape
    rows, columns = y.shape[1:]
    kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w = window
    count, step = _run(columns, stride_w)
    x, y, argmax = x.reshape(-1), y.reshape(-1), argmax.reshape(-1)
    for p in prange(planes, share):
        for i in range(rows):
            top, bottom = _span(i, kernel_h, stride_h, pad_h, height)
            for j in range(0, columns, count):
                left = j * stride_w - pad_w
                left, kernel_columns = _clip(left, (count - 1) * step, kernel_w, width)
                corner = top * width + left
                window_argmax(
                    x, p * height * width + corner, left, width, bottom - top, kernel_columns,
                    step, count, y, (p * rows + i) * columns + j, argmax, corner,
                )  # fmt: skip


def max_values(x, window, y):
    """`max_forward` without argmax."""
    kernel_h, kernel_w, stride_h, stride_w = window[:4]
    small = kernel_h == kernel_w and kernel_h in SIZES and stride_h == stride_w and stride_h <= 2
    (_max_of_few if small else _max_of_many)(x, window, y)


@kernel(parallel=True)
def _max_of_few(x, window, y, share):
    """For windows that `max_lines` takes."""
    planes, height, width = x.shape
    rows, columns = y.shape[1:]
    size, _, stride, _, pad_h, pad_w = window
    x, y = x.reshape(-1), y.reshape(-1)
    for p in prange(planes, share):
        max_lines(
            size, stride, rows, columns, x, p * height * width, height, width, -pad_h, -pad_w,
            y, p * rows * columns,
        )  # fmt: skip


@kernel(parallel=True)
def _max_of_many(x, window, y, share):
    planes, height, width = x.shape
    rows, columns = y.shape[1:]
    kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w = window
    count, step = _run(columns, stride_w)
    x, y = x.reshape(-1), y.reshape(-1)
    for p in prange(planes, share):
        for i in range(rows):
            top, bottom = _span(i, kernel_h, stride_h, pad_h, height)
            for j in range(0, columns, count):
                left = j * stride_w - pad_w
                left, kernel_columns = _clip(left, (count - 1) * step, kernel_w, width)
                window_max(
                    x, (p * height + top) * width + left, left, width, bottom - top, kernel_columns,
                    step, count, y, (p * rows + i) * columns + j,
                )  # fmt: skip


@kernel(parallel=True)
def max_backward(dy, argmax, dx, share):
    """dx = for each value, the sum of dy over the windows that it won."""
    planes, height, width = dx.shape
    count = dy.shape[1] * dy.shape[2]
    dx = dx.reshape(planes, height * width)
    dy, argmax = dy.reshape(planes, count), argmax.reshape(planes, count)
    for p in prange(planes, share):
        dx[p] = 0
        for o in range(count):
            if argmax[p, o] >= 0:
                dx[p, argmax[p, o]] += dy[p, o]


@kernel
def _window_sizes(window, height, width, sizes):
    """Values in each window, the padding included, an overhang beyond it not."""
    kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w = window
    for i in range(sizes.shape[0]):
        size_h = float(min(kernel_h, height + 2 * pad_h - i * stride_h))
        for j in range(sizes.shape[1]):
            sizes[i, j] = size_h * min(kernel_w, width + 2 * pad_w - j * stride_w)


@kernel(parallel=True)
def average_forward(x, window, y, share):
    """y = sum over the window / its size, clipped to the padded plane."""
    planes, height, width = x.shape
    rows, columns = y.shape[1:]
    kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w = window
    count, step = _run(columns, stride_w)
    x, sums = x.reshape(-1), y.reshape(-1)
    sizes = np.empty((rows, columns), y.dtype)
    _window_sizes(window, height, width, sizes)
    is_whole = rows * columns == 1 and kernel_h - pad_h >= height and kernel_w - pad_w >= width
    for p in prange(planes, share):
        if is_whole:
            total(height * width, x, p * height * width, sums, p)
            sums[p] /= sizes[0, 0]
            continue
        for i in range(rows):
            top, bottom = _span(i, kernel_h, stride_h, pad_h, height)
            for j in range(0, columns, count):
                left = j * stride_w - pad_w
                left, kernel_columns = _clip(left, (count - 1) * step, kernel_w, width)
                window_sum(
                    x, (p * height + top) * width + left, left, width, bottom - top, kernel_columns,
                    step, count, sums, (p * rows + i) * columns + j,
                )  # fmt: skip
        own, size = y[p].reshape(-1), sizes.reshape(-1)
        for o in range(own.size):
            own[o] /= size[o]


def average_backward(dy, window, dx):
    """dx = for each value, the sum of dy / window size over the windows that cover it."""
    threads = threads_over(dy, dx)
    plane, width = math.prod(dy.shape[1:]), dx.shape[2]
    _average_backward.on(threads)(dy, window, dx, workspace_rows(dx.dtype, threads, plane + width))


@kernel(parallel=True)
def _average_backward(dy, window, dx, work, share):
    """Of `work`, a row holds the shares of one plane, and a line of dx."""
    thread = share[0]
    planes, height, width = dx.shape
    rows, columns = dy.shape[1:]
    kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w = window
    sizes = np.empty((rows, columns), dy.dtype)
    _window_sizes(window, height, width, sizes)
    own, line = work[thread, : rows * columns], work[thread, rows * columns :]
    means, size = own.reshape(rows, columns), sizes.reshape(-1)
    for p in prange(planes, share):
        given = dy[p].reshape(-1)
        for o in range(own.size):
            own[o] = given[o] / size[o]
        if stride_h == 1 and stride_w == 1 and height * width <= GATHERED * own.size:
            _gather(means, kernel_h, kernel_w, pad_h, pad_w, dx[p])
        else:
            _scatter(means, window, dx[p], line)


@kernel
def _gather(share, kernel_h, kernel_w, pad_h, pad_w, dx):
    """At stride 1: the windows over a value are a window over the shares."""
    (rows, columns), (height, width) = share.shape, dx.shape
    left, kernel_columns = _clip(pad_w - kernel_w + 1, width - 1, kernel_w, columns)
    for h in range(height):
        top, bottom = _span(h, kernel_h, 1, kernel_h - 1 - pad_h, rows)
        window_sum(
            share.reshape(-1), top * columns + left, left, columns, max(bottom - top, 0),
            kernel_columns, 1, width, dx.reshape(-1), h * width,
        )  # fmt: skip


@kernel
def _scatter(share, window, dx, line):
    """The shares of each row of windows add up in `line`, which the rows under them take."""
    height, width = dx.shape
    kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w = window
    dx[:] = 0
    for i in range(share.shape[0]):
        line[:] = 0
        for j in range(share.shape[1]):
            left, right = _span(j, kernel_w, stride_w, pad_w, width)
            for w in range(left, right):
                line[w] += share[i, j]
        top, bottom = _span(i, kernel_h, stride_h, pad_h, height)
        for h in range(top, bottom):
            for w in range(width):
                dx[h, w] += line[w]


@kernel(parallel=True)
def draw_forward(x, window, draws, y, argmax, share):
    """y = a value of each window, drawn in proportion to the values; argmax = its place.

    `draws` are uniform on [0, 1): the first value wins at which the running sum reaches
    draw * sum. Without one (negative sums), it is the last value.
    """
    planes, height, width = x.shape
    rows, columns = y.shape[1:]
    kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w = window
    for p in prange(planes, share):
        for i in range(rows):
            top, bottom = _span(i, kernel_h, stride_h, pad_h, height)
            for j in range(columns):
                left, right = _span(j, kernel_w, stride_w, pad_w, width)
                total = x.dtype.type(0)
                for h in range(top, bottom):
                    for w in range(left, right):
                        total += x[p, h, w]
                goal, running = draws[p, i, j] * total, x.dtype.type(0)
                at = -1
                for h in range(top, bottom):
                    for w in range(left, right):
                        running += x[p, h, w]
                        if at < 0 and running >= goal:
                            at = h * width + w
                at = at if at >= 0 else (bottom - 1) * width + right - 1
                y[p, i, j] = x[p, at // width, at % width]
                argmax[p, i, j] = at


@kernel(parallel=True)
def expected_forward(x, window, y, share):
    """y = sum of x^2 / sum of x over each window, what `draw_forward` gives on average; 0 where
    the sum is not above 0."""
    planes, height, width = x.shape
    rows, columns = y.shape[1:]
    kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w = window
    for p in prange(planes, share):
        for i in range(rows):
            top, bottom = _span(i, kernel_h, stride_h, pad_h, height)
            for j in range(columns):
                left, right = _span(j, kernel_w, stride_w, pad_w, width)
                total = squares = x.dtype.type(0)
                for h in range(top, bottom):
                    for w in range(left, right):
                        total += x[p, h, w]
                        squares += x[p, h, w] * x[p, h, w]
                y[p, i, j] = squares / total if total > 0 else 0


@kernel(parallel=True)
def expected_backward(x, y, dy, window, dx, share):
    """dx = dy (2 x - y) / sum of x, added up over windows whose sum is above 0."""
    planes, height, width = x.shape
    rows, columns = y.shape[1:]
    kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w = window
    for p in prange(planes, share):
        dx[p] = 0
        for i in range(rows):
            top, bottom = _span(i, kernel_h, stride_h, pad_h, height)
            for j in range(columns):
                left, right = _span(j, kernel_w, stride_w, pad_w, width)
                total = x.dtype.type(0)
                for h in range(top, bottom):
                    for w in range(left, right):
                        total += x[p, h, w]
                if total > 0:
                    for h in range(top, bottom):
                        for w in range(left, right):
                            slope = x[p, h, w] + x[p, h, w] - y[p, i, j]
                            dx[p, h, w] += dy[p, i, j] * slope / total


@kernel(parallel=True)
def l2_forward(x, window, y, share):
    """y = sqrt(sum of x^2) over each window."""
    planes, height, width = x.shape
    rows, columns = y.shape[1:]
    kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w = window
    for p in prange(planes, share):
        for i in range(rows):
            top, bottom = _span(i, kernel_h, stride_h, pad_h, height)
            for j in range(columns):
                left, right = _span(j, kernel_w, stride_w, pad_w, width)
                squares = x.dtype.type(0)
                for h in range(top, bottom):
                    for w in range(left, right):
                        squares += x[p, h, w] * x[p, h, w]
                y[p, i, j] = np.sqrt(squares)


@kernel(parallel=True)
def l2_backward(x, y, dy, window, dx, share):
    """dx = dy x / y, added up over windows; 0 where y is 0."""
    planes, height, width = x.shape
    rows, columns = y.shape[1:]
    kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w = window
    for p in prange(planes, share):
        dx[p] = 0
        for i in range(rows):
            top, bottom = _span(i, kernel_h, stride_h, pad_h, height)
            for j in range(columns):
                left, right = _span(j, kernel_w, stride_w, pad_w, width)
                if y[p, i, j] > 0:
                    slope = dy[p, i, j] / y[p, i, j]
                    for h in range(top, bottom):
                        for w in range(left, right):
                            dx[p, h, w] += slope * x[p, h, w]
