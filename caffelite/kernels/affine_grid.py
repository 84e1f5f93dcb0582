"""Pictures read at the places of an affine grid, between four pixels, and the gradients of that.

x and dx are (samples, channels, height, width), y and dy (samples, channels, rows, columns). Sample
n at (i, j) is read at row `maps[n, 0] . (i, j, 1)` and column `maps[n, 1] . (i, j, 1)` of x,
counted in pixels; maps is float64. What lies beyond the edges is 0. Threads take whole samples, and
of these a few lines at a time, whose places are computed once for all channels.
"""

import numpy as np

from ._jit import kernel, prange, threads_over
from ._workspace import workspace_rows

_PLACES = 512  # so many fit into the fastest cache, with all that belongs to them


def forward(x, maps, y):
    """y = x at the places of `maps`."""
    threads = min(threads_over(x, y), max(1, len(x)))
    _forward.on(threads)(x, maps, y, *_work(y, threads, 4))


def backward(x, maps, dy, dx, dmaps):
    """dx and dmaps, the gradients; either may be empty, and is left out then."""
    threads = min(threads_over(x, dy, dx), max(1, len(x)))
    _backward.on(threads)(x, maps, dy, dx, dmaps, *_work(dy, threads, 8))


def _work(y, threads, count):
    """For each thread: `count` numbers of y's type, and a pixel, for each place of a few lines."""
    rows, columns = y.shape[2:]
    places = min(rows, max(1, _PLACES // max(1, columns))) * columns
    numbers = workspace_rows(y.dtype, threads, count * places).reshape(threads, count, places)
    return numbers, workspace_rows(np.uint32, threads, places)


@kernel
def _read(affine, first, columns, height, width, at, shares):
    """The places of the lines from `first` on, as many as `at` is long.

    Each is read from four pixels: `at`, and those beside, below and across; `shares` are those of
    the upper, lower, left and right ones. The four lie in x, as far as it is so large; those that
    are further away than 1 have no share.
    """
    last_row, last_column = float(max(height - 2, 0)), float(max(width - 2, 0))
    for i in range(at.size // columns):
        v0 = affine[0, 0] * (first + i) + affine[0, 2]
        u0 = affine[1, 0] * (first + i) + affine[1, 2]
        line, (upper, lower, left, right) = _line(at, i, columns), _lines(shares, i, columns)
        _along(v0, affine[0, 1], last_row, width, False, line, upper, lower)
        _along(u0, affine[1, 1], last_column, 1, True, line, left, right)
    if height == 1:
        shares[1][:] = 0
    if width == 1:
        shares[3][:] = 0


@kernel
def _along(start, step, last, pixels, add, at, near, far):
    """The share of a line of places along one axis, and what that axis adds to the pixel.

    A loop with few arrays, since LLVM makes vectors of no other.
    """
    for j in range(len(at)):
        place = start + step * j
        whole = min(max(np.floor(place), 0.0), last)
        pixel = np.int32(whole * pixels)
        at[j] = at[j] + pixel if add else pixel
        near[j] = max(1 - abs(place - whole), 0.0)
        far[j] = max(1 - abs(place - whole - 1), 0.0)


@kernel
def _line(values, i, columns):
    return values[i * columns : (i + 1) * columns]


@kernel
def _lines(four, i, columns):
    a, b, c, d = four
    return (
        _line(a, i, columns), _line(b, i, columns), _line(c, i, columns), _line(d, i, columns)
    )  # fmt: skip


@kernel
def _rows(numbers, first, count):
    """The beginnings of four rows, which are known to be contiguous: a loop over them is fast."""
    a, b, c, d = numbers[first], numbers[first + 1], numbers[first + 2], numbers[first + 3]
    return a[:count], b[:count], c[:count], d[:count]


@kernel(parallel=True)
def _forward(x, maps, y, numbers, pixels, share):
    thread = share[0]
    samples, channels, height, width = x.shape
    rows, columns = y.shape[2:]
    down, aside = np.uint64(width * (height > 1)), np.uint64(width > 1)
    step = pixels.shape[1]
    for n in prange(samples, share):
        for start in range(0, rows * columns, step):
            stop = min(start + step, rows * columns)
            at = pixels[thread][: stop - start]
            shares = _rows(numbers[thread], 0, stop - start)
            _read(maps[n], start // columns, columns, height, width, at, shares)
            for c in range(channels):
                source, target = x[n, c].reshape(-1), y[n, c].reshape(-1)[start:stop]
                _mix(source, at, down, aside, shares, target)


@kernel(fused=True)
def _mix(x, at, down, aside, shares, y):
    upper, lower, left, right = shares
    for j in range(y.size):
        k = np.uint64(at[j])
        above = left[j] * x[k] + right[j] * x[k + aside]
        k += down
        below = left[j] * x[k] + right[j] * x[k + aside]
        y[j] = upper[j] * above + lower[j] * below


@kernel(parallel=True)
def _backward(x, maps, dy, dx, dmaps, numbers, pixels, share):
    thread = share[0]
    samples, channels, height, width = x.shape
    rows, columns = dy.shape[2:]
    down, aside = np.uint64(width * (height > 1)), np.uint64(width > 1)
    step = pixels.shape[1]
    for n in prange(samples, share):
        if dx.size:
            dx[n] = 0
        if dmaps.size:
            dmaps[n] = 0
        for start in range(0, rows * columns, step):
            stop = min(start + step, rows * columns)
            at = pixels[thread][: stop - start]
            shares = _rows(numbers[thread], 0, stop - start)
            _read(maps[n], start // columns, columns, height, width, at, shares)
            if dx.size:
                for c in range(channels):
                    source, target = dy[n, c].reshape(-1)[start:stop], dx[n, c].reshape(-1)
                    _scatter(source, at, down, aside, shares, target)
            if dmaps.size:
                sums = _rows(numbers[thread], 4, stop - start)
                numbers[thread, 4:] = 0
                for c in range(channels):
                    source = dy[n, c].reshape(-1)[start:stop]
                    _gather(source, x[n, c].reshape(-1), at, down, aside, sums)
                first = start // columns
                _add(maps[n], first, columns, height, width, shares, sums, dmaps[n])


@kernel(fused=True)
def _scatter(dy, at, down, aside, shares, dx):
    upper, lower, left, right = shares
    for j in range(dy.size):
        k = np.uint64(at[j])
        above, below = upper[j] * dy[j], lower[j] * dy[j]
        dx[k] += left[j] * above
        dx[k + aside] += right[j] * above
        k += down
        dx[k] += left[j] * below
        dx[k + aside] += right[j] * below


@kernel(fused=True)
def _gather(dy, x, at, down, aside, sums):
    """Add dy times each of the four pixels to `sums`."""
    a, b, c, d = sums
    for j in range(dy.size):
        k = np.uint64(at[j])
        a[j] += dy[j] * x[k]
        b[j] += dy[j] * x[k + aside]
        k += down
        c[j] += dy[j] * x[k]
        d[j] += dy[j] * x[k + aside]


@kernel
def _slope(away):
    """How the share of a pixel changes whose number is so far below the place's whole part."""
    return 1.0 if away == -1 else -1.0 if away == 0 else 0.0


@kernel(any_order=True)
def _add(affine, first, columns, height, width, shares, sums, dmaps):
    """Add the gradient to the places of some lines to that to (i, j, 1)'s factors."""
    last_row, last_column = float(max(height - 2, 0)), float(max(width - 2, 0))
    two_rows, two_columns = min(height - 1, 1), min(width - 1, 1)
    for i in range(sums[0].size // columns):
        upper, lower, left, right = _lines(shares, i, columns)
        a, b, c, d = _lines(sums, i, columns)
        v0 = affine[0, 0] * (first + i) + affine[0, 2]
        u0 = affine[1, 0] * (first + i) + affine[1, 2]
        dv_dj, du_dj = affine[0, 1], affine[1, 1]
        total_v, moment_v, total_u, moment_u = 0.0, 0.0, 0.0, 0.0
        for j in range(len(a)):
            v, u = np.floor(v0 + dv_dj * j), np.floor(u0 + du_dj * j)
            v -= min(max(v, 0.0), last_row)
            u -= min(max(u, 0.0), last_column)
            dv = _slope(v) * (left[j] * a[j] + right[j] * b[j])
            dv += two_rows * _slope(v - 1) * (left[j] * c[j] + right[j] * d[j])
            du = _slope(u) * (upper[j] * a[j] + lower[j] * c[j])
            du += two_columns * _slope(u - 1) * (upper[j] * b[j] + lower[j] * d[j])
            total_v += dv
            moment_v += j * dv
            total_u += du
            moment_u += j * du
        dmaps[0, 0] += (first + i) * total_v
        dmaps[0, 1] += moment_v
        dmaps[0, 2] += total_v
        dmaps[1, 0] += (first + i) * total_u
        dmaps[1, 1] += moment_u
        dmaps[1, 2] += total_u
