"""Windows of an image as columns of a matrix, and back; any number of spatial axes.

Row (c, k...) of the matrix holds, for every output position o, the input value at
o * stride + k * dilation - pad, or zero outside the image: shape (C * prod(k), prod(out)).

Sizes travel as one int64 array, `geometry`, of shape (6, spatial axes): see `IN` to `DILATION`.
`offsets` has a place for each axis, where a thread notes the window position it is at.
"""

import numpy as np

from ._jit import kernel
from ._pairs import add_pairs
from ._simd import add, clear, copy

IN, OUT, KERNEL, STRIDE, PAD, DILATION = range(6)
"""Rows of `geometry`."""
TALL = 4
"""An output with this many times more lines than columns is copied column by column."""


def geometry_of(in_shape, out_shape, kernel_shape, stride, pad, dilation):
    """The geometry array. Axes of size 1 are left out, but for one, where there is no other."""
    geometry = np.array((in_shape, out_shape, kernel_shape, stride, pad, dilation), np.int64)
    if 1 in in_shape:
        needed = (geometry[: KERNEL + 1] > 1).any(axis=0) | (geometry[PAD] > 0)
        geometry = np.ascontiguousarray(geometry[:, needed])
    if geometry.shape[1] == 0:
        return np.array(((1,), (1,), (1,), (1,), (0,), (1,)), np.int64)
    return geometry


def im2col(x, col, kernel_shape, stride, pad, dilation):
    """Write the windows of one image x (C, *in) to col (C, *kernel_shape, *out)."""
    axes = len(kernel_shape)
    geometry = geometry_of(x.shape[1:], _out_shape(col, axes), kernel_shape, stride, pad, dilation)
    pixels = int(np.prod(geometry[OUT]))
    if col.size:
        im2col_block(
            x.reshape(-1), 0, geometry, 0, col.size // pixels, 0, pixels,
            col.reshape(-1), 0, pixels, np.empty_like(geometry[0]),
        )  # fmt: skip


def col2im(col, x, kernel_shape, stride, pad, dilation):
    """Set x (C, *in) to the sum of the windows in col (C, *kernel_shape, *out)."""
    axes = len(kernel_shape)
    geometry = geometry_of(x.shape[1:], _out_shape(col, axes), kernel_shape, stride, pad, dilation)
    pixels = int(np.prod(geometry[OUT]))
    x[...] = 0
    if col.size:
        col2im_block(
            col.reshape(-1), 0, pixels, geometry, 0, col.size // pixels, 0, pixels,
            x.reshape(-1), 0, np.empty_like(geometry[0]),
        )  # fmt: skip


def _out_shape(col, axes):
    return col.shape[col.ndim - axes :]


@kernel
def _window_offsets(geometry, k, offsets):
    """Fill `offsets` with k * dilation - pad per axis for matrix row k; return its channel."""
    for axis in range(geometry.shape[1] - 1, -1, -1):
        k, at = divmod(k, geometry[KERNEL, axis])
        offsets[axis] = at * geometry[DILATION, axis] - geometry[PAD, axis]
    return k


@kernel
def _input_start(geometry, line, offsets, axes):
    """Where in a channel the input for output `line` starts; -1 outside the image.

    Lines, for which `axes` is 1, are counted over all axes but the last one; for 2, planes are.
    """
    start, size = 0, geometry[IN, -axes:].prod()
    for axis in range(geometry.shape[1] - axes - 1, -1, -1):
        line, at = divmod(line, geometry[OUT, axis])
        at = at * geometry[STRIDE, axis] + offsets[axis]
        if at < 0 or at >= geometry[IN, axis]:
            return -1
        start += at * size
        size *= geometry[IN, axis]
    return start


@kernel
def _is_tall(geometry):
    return geometry.shape[1] > 1 and geometry[OUT, -2] >= TALL * geometry[OUT, -1]


@kernel
def _column(geometry, plane, j, offsets, p0, p1):
    """Column j of a plane of output: (first, low, high, last, start, step).

    Lines `first` to `last` have a pixel among p0..p1, and `low` to `high` of them read the image:
    line i at start + i * step of a channel.
    """
    height, width, stride = geometry[OUT, -2], geometry[OUT, -1], geometry[STRIDE, -2]
    pixel = plane * height * width + j
    first = max(-((pixel - p0) // width), 0)
    last = max(min(-((pixel - p1) // width), height), first)
    at, above = j * geometry[STRIDE, -1] + offsets[-1], offsets[-2]
    start = _input_start(geometry, plane, offsets, 2)
    low = high = last
    if start >= 0 and 0 <= at < geometry[IN, -1]:
        low = min(max(-(above // stride), first), last)
        high = max(min(-((above - geometry[IN, -2]) // stride), last), low)
    width_in = geometry[IN, -1]
    return first, low, high, last, start + above * width_in + at, stride * width_in


@kernel
def _read_columns(x, x_at, geometry, offsets, p0, p1, out, out_at):
    """A row of `im2col_block` for a tall output; pixel 0 belongs at out[out_at]."""
    height, width = geometry[OUT, -2], geometry[OUT, -1]
    for plane in range(p0 // (height * width), -(-p1 // (height * width))):
        for j in range(width):
            first, low, high, last, start, step = _column(geometry, plane, j, offsets, p0, p1)
            to = out_at + plane * height * width + j
            for i in range(first, low):
                out[to + i * width] = 0
            for i in range(low, high):
                out[to + i * width] = x[x_at + start + i * step]
            for i in range(high, last):
                out[to + i * width] = 0


@kernel
def _add_columns(col, col_at, geometry, offsets, p0, p1, x, x_at):
    """A row of `col2im_block` for a tall output; pixel 0 lies at col[col_at]."""
    height, width = geometry[OUT, -2], geometry[OUT, -1]
    for plane in range(p0 // (height * width), -(-p1 // (height * width))):
        for j in range(width):
            _, low, high, _, start, step = _column(geometry, plane, j, offsets, p0, p1)
            source = col_at + plane * height * width + j
            for i in range(low, high):
                x[x_at + start + i * step] += col[source + i * width]


@kernel
def _add_two(col, one_at, two_at, geometry, offsets, p0, p1, x, x_at):
    """Two rows of `col2im_block`, of neighbouring positions; pixel 0 lies at their places in col.

    Of a line, the first or the last value of one row may lie in x where the other's does not.
    """
    width_in, width, shift = geometry[IN, -1], geometry[OUT, -1], offsets[-1]
    first_one, last_one = -(shift // 2), -((shift - width_in) // 2)
    first_two, last_two = -((shift + 1) // 2), -((shift + 1 - width_in) // 2)
    for line in range(p0 // width, -(-p1 // width)):
        start = _input_start(geometry, line, offsets, 1)
        if start < 0:
            continue
        j0, j1 = max(p0 - line * width, 0), min(p1 - line * width, width)
        low_one, high_one = max(first_one, j0), min(last_one, j1)
        low_two, high_two = max(first_two, j0), min(last_two, j1)
        low, high = max(low_one, low_two), min(high_one, high_two)
        one, two, to = one_at + line * width, two_at + line * width, x_at + start + shift
        if low >= high:
            add(high_one - low_one, col, one + low_one, 1, x, to + 2 * low_one, 2)
            add(high_two - low_two, col, two + low_two, 1, x, to + 2 * low_two + 1, 2)
            continue
        add_pairs(high - low, col, one + low, col, two + low, x, to + 2 * low)
        add(low - low_one, col, one + low_one, 1, x, to + 2 * low_one, 2)
        add(low - low_two, col, two + low_two, 1, x, to + 2 * low_two + 1, 2)
        add(high_one - high, col, one + high, 1, x, to + 2 * high, 2)
        add(high_two - high, col, two + high, 1, x, to + 2 * high + 1, 2)


@kernel
def im2col_block(x, x_at, geometry, k0, k1, p0, p1, out, out_at, out_step, offsets):
    """Rows k0..k1, columns p0..p1 of the matrix for the image at x[x_at:], rows out_step apart."""
    width_in, width, stride = geometry[IN, -1], geometry[OUT, -1], geometry[STRIDE, -1]
    plane, tall = geometry[IN].prod(), _is_tall(geometry)
    for k in range(k0, k1):
        channel = _window_offsets(geometry, k, offsets)
        shift = offsets[-1]
        first = -(shift // stride)
        last = -((shift - width_in) // stride)
        target = out_at + (k - k0) * out_step
        if tall:
            _read_columns(x, x_at + channel * plane, geometry, offsets, p0, p1, out, target - p0)
            continue
        p = p0
        while p < p1:
            line = p // width
            j0 = p - line * width
            j1 = min(width, j0 + p1 - p)
            start = _input_start(geometry, line, offsets, 1)
            low, high = j1, j1
            if start >= 0:
                low = min(max(first, j0), j1)
                high = max(min(last, j1), low)
            source = x_at + channel * plane + start + shift
            to = target + p - p0 - j0
            clear(low - j0, out, to + j0)
            copy(high - low, x, source + low * stride, stride, out, to + low, 1)
            clear(j1 - high, out, to + high)
            p += j1 - j0


@kernel
def col2im_block(col, col_at, col_step, geometry, k0, k1, p0, p1, x, x_at, offsets):
    """Add rows k0..k1, columns p0..p1 of a matrix to the image at x[x_at:].

    At a stride of 2, rows of neighbouring positions fill the gaps between each other.
    """
    width_in, width, stride = geometry[IN, -1], geometry[OUT, -1], geometry[STRIDE, -1]
    plane, tall = geometry[IN].prod(), _is_tall(geometry)
    pairs = not tall and stride == 2 and geometry[DILATION, -1] == 1
    k = k0 - 1
    while k + 1 < k1:
        k += 1
        channel = _window_offsets(geometry, k, offsets)
        shift = offsets[-1]
        if pairs and k + 1 < k1 and k % geometry[KERNEL, -1] + 1 < geometry[KERNEL, -1]:
            source = col_at + (k - k0) * col_step - p0
            _add_two(
                col, source, source + col_step, geometry, offsets, p0, p1, x, x_at + channel * plane
            )
            k += 1
            continue
        first = -(shift // stride)
        last = -((shift - width_in) // stride)
        if tall:
            source = col_at + (k - k0) * col_step - p0
            _add_columns(col, source, geometry, offsets, p0, p1, x, x_at + channel * plane)
            continue
        p = p0
        while p < p1:
            line = p // width
            j0 = p - line * width
            j1 = min(width, j0 + p1 - p)
            start = _input_start(geometry, line, offsets, 1)
            if start >= 0:
                source = col_at + (k - k0) * col_step + p - p0 - j0
                to = x_at + channel * plane + start + shift
                low, high = max(first, j0), min(last, j1)
                add(high - low, col, source + low, 1, x, to + low * stride, stride)
            p += j1 - j0
