"""Convolution of arrays: forward, and the gradients to input and weights.

y[n, m, o] = sum over c, k of w[m, c, k] x[n, c, o * stride + k * dilation - pad], for each group
of channels. x is (N, C, *in), w is (M, C / group, *kernel), y is (N, M, *out), any number of
spatial axes, all contiguous and of one dtype. The shapes alone say how many outputs there are.

There are three ways, chosen by shape. `winograd` is for 3 by 3
with stride 1, `direct` reads lines in place for up to two axes. For the rest, each thread takes a
run of pixels, writes their windows as a matrix small enough for its cache (`im2col`), and
multiplies that by the packed weights.

Deconvolution swaps the roles: `backward_input` computes its top from its bottom.
"""

import math
import os

import numpy as np

from . import affine, direct, winograd, winograd_weight
from ._jit import kernel, prange, thread_count
from ._simd import VECTOR_BYTES, add, clear, copy, lanes
from ._tiles import DOT_COLUMNS, TILE_ROWS, TILE_VECTORS
from ._workspace import workspace
from .direct import pack_tile
from .epilogue import NONE, Epilogue
from .gemm import multiply_packed, multiply_rows, pack_rows, spaced
from .im2col import (
    DILATION,
    IN,
    KERNEL,
    OUT,
    PAD,
    STRIDE,
    col2im_block,
    geometry_of,
    im2col_block,
)

_forced = os.environ.get("CAFFELITE_CONVOLUTION")
FORCED = None if _forced is None else _forced.split(",")
"""What to use wherever it can run, whether it pays or not: any of "winograd" and "lines". Windows
are the way for the rest. With None, shapes decide."""
DEPTH_BLOCK = 512
"""Rows of the window matrix multiplied at a time in `forward`."""
BLOCK_BYTES = 1 << 19
"""Aim for the size of a block of the window matrix: half of a common L2 cache."""
STAGED_TILES = 8
"""Tiles of y computed beside y when a block spans images."""
ROW_BLOCK = 64
"""Rows of dy per block in `backward_weight`."""
TURNED_PIXELS = 4
"""Pixels of x for one of y up to which `backward_input` turns weights around."""
SMALL_WEIGHTS = 1 << 16
"""Weights fewer than this are summed per thread, each over its share of the images."""


def forward_path(x, w, y, stride, pad, dilation, group=1) -> str:
    """How `forward` computes this: "winograd", "lines" or "windows"."""
    geometry = geometry_of(x.shape[2:], y.shape[2:], w.shape[2:], stride, pad, dilation)
    return _path(x, direct.canonical(geometry), (w.shape[1], w.shape[0] // group, group))


def _path(x, plane, sizes):
    if _wants(winograd, x, plane, sizes):
        return "winograd"
    if _allowed("lines") and direct.can_read_lines(plane, x.itemsize):
        return "lines"
    return "windows"


def _wants(algorithm, x, plane, sizes):
    able = _allowed("winograd") and winograd.fits(plane)
    return able and bool(FORCED or algorithm.pays(plane, x, sizes))


def _turning_pays(geometry):
    """Whether to convolve dy with turned weights: at stride 1, if few products are with zeros.

    It looks at windows around each pixel of x, of which only those of y are in dy.
    """
    pixels, of_y = (math.prod(geometry[row].tolist()) for row in (IN, OUT))
    return (geometry[STRIDE] == 1).all() and pixels <= TURNED_PIXELS * of_y


def _allowed(path):
    return FORCED is None or path in FORCED


def forward(x, w, y, stride, pad, dilation, group=1, epilogue=None):
    """y = conv(x, w), or what an `Epilogue` makes of each channel's sums."""
    geometry = geometry_of(x.shape[2:], y.shape[2:], w.shape[2:], stride, pad, dilation)
    if y.size == 0:
        return
    if epilogue is None:
        epilogue = Epilogue.of(x.dtype, len(w))
    inputs, outputs = w.shape[1], w.shape[0] // group
    window = int(np.prod(geometry[KERNEL]))
    sizes = (inputs, outputs, group)
    depth = inputs * window
    steps = (outputs * depth, depth, window, 1, inputs, window)
    _multiply(x, w, 0, steps, y, geometry, sizes, epilogue)


def backward_input(w, dy, dx, stride, pad, dilation, group=1):
    """dx = gradient of sum(dy * conv(x, w)) to x; assigned."""
    geometry = geometry_of(dx.shape[2:], dy.shape[2:], w.shape[2:], stride, pad, dilation)
    if dx.size == 0:
        return
    inputs, outputs = w.shape[1], w.shape[0] // group
    window = int(np.prod(geometry[KERNEL]))
    if _turning_pays(geometry):
        # the convolution of dy with the weights turned around
        turned = geometry[[OUT, IN, KERNEL, STRIDE, PAD, DILATION]]
        turned[PAD] = geometry[DILATION] * (geometry[KERNEL] - 1) - geometry[PAD]
        depth = inputs * window
        steps = (outputs * depth, window, depth, -1, outputs, window)
        plain = Epilogue.of(dx.dtype, dx.shape[1])
        _multiply(dy, w, window - 1, steps, dx, turned, (outputs, inputs, group), plain)
        return
    _scatter_windows(w, dy, dx, geometry, inputs, outputs, group, window)


def backward_weight(x, dy, dw, stride, pad, dilation, group=1):
    """dw += gradient of sum(dy * conv(x, w)) to w."""
    geometry = geometry_of(x.shape[2:], dy.shape[2:], dw.shape[2:], stride, pad, dilation)
    if dy.size == 0 or dw.size == 0:
        return
    plane = direct.canonical(geometry)
    if _wants(winograd_weight, x, plane, (dw.shape[1], dw.shape[0] // group, group)):
        winograd_weight.backward_weight(x, dy, dw, plane, group)
        return
    if _allowed("lines") and plane is not None:
        direct.backward_weight(x, dy, dw, plane, group)
        return
    batch, inputs, outputs = x.shape[0], dw.shape[1], dw.shape[0] // group
    rows = inputs * int(np.prod(geometry[KERNEL]))
    pixels = int(np.prod(geometry[OUT]))
    threads = thread_count(dy.size * rows)
    row_block = min(rows, 22 * DOT_COLUMNS)
    column_block = max(BLOCK_BYTES // 2 // x.itemsize // row_block, 512)
    images = max(1, min(batch, column_block // pixels))
    column_block = images * pixels if images > 1 else min(column_block, pixels)
    size = spaced(column_block, VECTOR_BYTES // x.itemsize) * (row_block + ROW_BLOCK)
    blocks = group * -(-rows // row_block)
    image_parts = min(threads, -(-batch // images)) if dw.size <= SMALL_WEIGHTS else 1
    output_parts = 1
    if image_parts * blocks < threads:
        output_parts = min(-(-outputs // ROW_BLOCK), -(-threads // (image_parts * blocks)))
    parts = max(1, min(threads, image_parts * blocks * output_parts))
    sums = dw.size * image_parts if image_parts > 1 else 0
    work = workspace(x.dtype, size * parts + sums)
    target = work[size * parts :] if sums else dw.reshape(-1)
    run = _weight.on(parts)
    run(
        x.reshape(-1), dy.reshape(-1), target, geometry, batch, images, inputs, outputs, group,
        row_block, column_block, image_parts, output_parts, work, size, parts,
    )  # fmt: skip
    if sums:
        for part in target[:sums].reshape(image_parts, *dw.shape):
            dw += part


def _multiply(x, w, w_at, w_steps, y, geometry, sizes, epilogue):
    """y = weights times windows of x; see `pack_tile` for w_at and w_steps."""
    plane = direct.canonical(geometry)
    path = _path(x, plane, sizes)
    if path == "windows":
        _multiply_windows(x, w, w_at, w_steps, y, geometry, sizes)
        if epilogue.slope.size or epilogue.activation != NONE:
            by_channel = y.reshape(*y.shape[:2], -1)
            affine.forward(by_channel, epilogue, by_channel)
        return
    multiply = winograd.multiply if path == "winograd" else direct.multiply_lines
    multiply(x, w, w_at, w_steps, y, plane, sizes, epilogue)


def _multiply_windows(x, w, w_at, w_steps, y, geometry, sizes):
    """`_multiply` for any number of axes, by `im2col`."""
    inputs, outputs, group = sizes
    batch, depth = x.shape[0], inputs * int(np.prod(geometry[KERNEL]))
    threads = thread_count(y.size * depth)
    pixels = int(np.prod(geometry[OUT]))
    per_vector = VECTOR_BYTES // x.itemsize
    panel = TILE_VECTORS * per_vector
    depth_block = -(-depth // -(-depth // DEPTH_BLOCK))
    column_block = max(BLOCK_BYTES // x.itemsize // depth_block // panel * panel, panel)
    images = max(1, min(column_block // pixels, batch * group // threads))
    if images == 1:
        # spread the pixels evenly over whole panels, and over the threads of a small batch
        panels = -(-pixels // panel)
        blocks = max(-(-pixels // column_block), min(threads // (batch * group), panels))
        column_block = -(-panels // blocks) * panel
    else:
        column_block = images * pixels
    step = spaced(column_block, per_vector)
    size = depth_block * step + panel
    staging = min(outputs, STAGED_TILES * TILE_ROWS) * step if images > 1 else 0
    items = -(-batch // images) * group * (-(-pixels // column_block) if images == 1 else 1)
    parts = min(threads, items)
    weights = group * outputs * depth
    work = workspace(x.dtype, weights + parts * (size + staging))
    run = _windows.on(parts)
    run(
        x.reshape(-1), w.reshape(-1), w_at, np.array(w_steps, np.int64), y.reshape(-1), geometry,
        batch, images, inputs, outputs, group, depth_block, column_block, items,
        work, weights, size, staging, parts,
    )  # fmt: skip


@kernel
def _windows_part(
    x, y, geometry, batch, images, inputs, outputs, group, depth_block, column_block, items,
    work, weights, size, staging, parts, part, offsets,
):  # fmt: skip
    """The `part`-th share of (images, group, pixels) blocks of y."""
    plane, pixels = geometry[IN].prod(), geometry[OUT].prod()
    depth, tiles = inputs * geometry[KERNEL].prod(), -(-outputs // TILE_ROWS)
    step = spaced(column_block, lanes(x))
    columns_at = weights + part * (size + staging)
    staging_at = columns_at + size
    per_image = -(-pixels // column_block)
    for item in range(part * items // parts, (part + 1) * items // parts):
        g = item // per_image % group
        n0 = item // (per_image * group) * images
        n1 = min(n0 + images, batch)
        p0 = item % per_image * column_block
        p1 = min(p0 + column_block, pixels)
        weights_at = g * outputs * depth
        for k0 in range(0, depth, depth_block):
            k1 = min(k0 + depth_block, depth)
            for n in range(n0, n1):
                im2col_block(
                    x, (n * group + g) * inputs * plane, geometry, k0, k1, p0, p1,
                    work, columns_at + (n - n0) * pixels, step, offsets,
                )  # fmt: skip
            if images == 1:
                target = (n0 * group + g) * outputs * pixels + p0
                multiply_packed(
                    outputs, 0, tiles, p1 - p0, k1 - k0, work, weights_at, depth, k0,
                    work, columns_at, step, y, target, pixels, k0 > 0,
                )  # fmt: skip
            else:
                for t in range(0, tiles, STAGED_TILES):
                    end = min(t + STAGED_TILES, tiles)
                    multiply_packed(
                        outputs, t, end, (n1 - n0) * pixels, k1 - k0, work, weights_at, depth, k0,
                        work, columns_at, step, work, staging_at, step, False,
                    )  # fmt: skip
                    m0, m1 = t * outputs // tiles, end * outputs // tiles
                    for n in range(n0, n1):
                        target = ((n * group + g) * outputs + m0) * pixels
                        source = staging_at + (n - n0) * pixels
                        _copy_rows(
                            m1 - m0, pixels, work, source, step, y, target, pixels, k0 > 0
                        )  # fmt: skip


@kernel
def _copy_rows(rows, columns, a, a_at, a_step, c, c_at, c_step, accumulate):
    for r in range(rows):
        if accumulate:
            add(columns, a, a_at + r * a_step, 1, c, c_at + r * c_step, 1)
        else:
            copy(columns, a, a_at + r * a_step, 1, c, c_at + r * c_step, 1)


@kernel(parallel=True)
def _windows(
    x, w, w_at, w_steps, y, geometry, batch, images, inputs, outputs, group, depth_block,
    column_block, items, work, weights, size, staging, parts,
):  # fmt: skip
    for item in prange(group * -(-outputs // TILE_ROWS)):
        pack_tile(w, w_at, w_steps, outputs, np.int64(item), work, 0)
    offsets = np.empty((parts, geometry.shape[1]), np.int64)
    for part in prange(parts):
        _windows_part(
            x, y, geometry, batch, images, inputs, outputs, group, depth_block, column_block,
            items, work, weights, size, staging, parts, np.int64(part), offsets[part],
        )  # fmt: skip


def _scatter_windows(w, dy, dx, geometry, inputs, outputs, group, window):
    """dx = sum over windows of transposed weights times dy.

    A block is some rows of the windows of a panel of pixels or more, of several images if small.
    """
    batch, itemsize = dx.shape[0], dx.itemsize
    threads = thread_count(dy.size * inputs * window)
    pixels = int(np.prod(geometry[OUT]))
    panel = TILE_VECTORS * VECTOR_BYTES // itemsize
    column_block = max(BLOCK_BYTES // itemsize // max(outputs, 1) // panel * panel, panel)
    column_block = min(column_block, -(-pixels // panel) * panel)
    images = max(1, min(column_block // pixels, batch))
    row_tiles = 1 + BLOCK_BYTES // itemsize // (column_block * TILE_ROWS)
    channels = max(1, min(inputs, BLOCK_BYTES // itemsize // (column_block * window)))
    image_blocks = -(-batch // images)
    if image_blocks * group * -(-inputs // channels) < threads:
        channels = max(1, -(-inputs // threads))
    items = image_blocks * group * -(-inputs // channels)
    parts = min(threads, items)
    step = spaced(column_block, panel // TILE_VECTORS)
    size = (outputs + min(channels * window, row_tiles * TILE_ROWS)) * step + panel
    weights = group * inputs * window * outputs
    work = workspace(dx.dtype, weights + parts * size)
    run = _scatter.on(parts)
    run(
        w.reshape(-1), dy.reshape(-1), dx.reshape(-1), geometry, batch, images, inputs, outputs,
        group, channels, row_tiles, column_block, items, work, weights, size, parts,
    )  # fmt: skip


@kernel
def _pack_transposed(w, inputs, outputs, group, window, channels, item, out):
    """Pack the weights of one group and block of channels with their columns as rows."""
    blocks = -(-inputs // channels)
    g, c0 = item // blocks, item % blocks * channels
    rows = min(channels, inputs - c0) * window
    at = (g * outputs * inputs + c0) * window
    target = (g * inputs + c0) * window * outputs
    pack_rows(w, at, 1, inputs * window, rows, outputs, out, target)


@kernel
def _scatter_part(
    dy, dx, geometry, batch, images, inputs, outputs, group, channels, row_tiles, column_block,
    items, work, weights, size, parts, part, offsets,
):  # fmt: skip
    """The `part`-th share of (images, group, channels) blocks of dx."""
    plane, pixels = geometry[IN].prod(), geometry[OUT].prod()
    window = geometry[KERNEL].prod()
    blocks = -(-inputs // channels)
    step = spaced(column_block, lanes(dx))
    dy_at = weights + part * size
    columns_at = dy_at + outputs * step
    for item in range(part * items // parts, (part + 1) * items // parts):
        g, c0 = item // blocks % group, item % blocks * channels
        n0 = item // (group * blocks) * images
        n1 = min(n0 + images, batch)
        c1 = min(c0 + channels, inputs)
        rows = (c1 - c0) * window
        tiles = -(-rows // TILE_ROWS)
        for n in range(n0, n1):
            clear((c1 - c0) * plane, dx, ((n * group + g) * inputs + c0) * plane)
        for p0 in range(0, pixels, column_block):
            p1 = min(p0 + column_block, pixels)
            for n in range(n0, n1):
                source = (n * group + g) * outputs * pixels + p0
                to = dy_at + (n - n0) * pixels
                _copy_rows(outputs, p1 - p0, dy, source, pixels, work, to, step, False)
            for t in range(0, tiles, row_tiles):
                end = min(t + row_tiles, tiles)
                multiply_packed(
                    rows, t, end, (n1 - n0) * (p1 - p0), outputs,
                    work, (g * inputs + c0) * window * outputs, outputs, 0,
                    work, dy_at, step, work, columns_at, step, False,
                )  # fmt: skip
                k0, k1 = t * rows // tiles, end * rows // tiles
                for n in range(n0, n1):
                    col2im_block(
                        work, columns_at + (n - n0) * pixels, step, geometry, k0, k1, p0, p1,
                        dx, ((n * group + g) * inputs + c0) * plane, offsets,
                    )  # fmt: skip


@kernel(parallel=True)
def _scatter(
    w, dy, dx, geometry, batch, images, inputs, outputs, group, channels, row_tiles, column_block,
    items, work, weights, size, parts,
):  # fmt: skip
    window = geometry[KERNEL].prod()
    for item in prange(group * -(-inputs // channels)):
        _pack_transposed(w, inputs, outputs, group, window, channels, np.int64(item), work)
    offsets = np.empty((parts, geometry.shape[1]), np.int64)
    for part in prange(parts):
        _scatter_part(
            dy, dx, geometry, batch, images, inputs, outputs, group, channels, row_tiles,
            column_block, items, work, weights, size, parts, np.int64(part), offsets[part],
        )  # fmt: skip


@kernel
def _weight_part(
    x, dy, target, geometry, batch, images, inputs, outputs, group, row_block, column_block,
    image_parts, output_parts, work, size, parts, part, offsets,
):  # fmt: skip
    """The `part`-th share of (images, group, rows of windows, outputs) blocks of dw."""
    plane, pixels = geometry[IN].prod(), geometry[OUT].prod()
    rows = inputs * geometry[KERNEL].prod()
    row_blocks = -(-rows // row_block)
    step = spaced(column_block, lanes(x))
    columns_at = part * size
    dy_at = columns_at + row_block * step
    items = image_parts * group * row_blocks * output_parts
    image_blocks = -(-batch // images)
    for item in range(part * items // parts, (part + 1) * items // parts):
        output_part, rest = item % output_parts, item // output_parts
        k0, rest = rest % row_blocks * row_block, rest // row_blocks
        g, image_part = rest % group, rest // group
        k1 = min(k0 + row_block, rows)
        m0 = output_part * outputs // output_parts
        m1 = (output_part + 1) * outputs // output_parts
        sums_at = (image_part * group + g) * outputs * rows
        if image_parts > 1:
            for m in range(m0, m1):
                clear(k1 - k0, target, sums_at + m * rows + k0)
        first = image_part * image_blocks // image_parts * images
        last = min((image_part + 1) * image_blocks // image_parts * images, batch)
        for n0 in range(first, last, images):
            n1 = min(n0 + images, last)
            for p0 in range(0, pixels, column_block):
                p1 = min(p0 + column_block, pixels)
                for n in range(n0, n1):
                    im2col_block(
                        x, (n * group + g) * inputs * plane, geometry, k0, k1, p0, p1,
                        work, columns_at + (n - n0) * pixels, step, offsets,
                    )  # fmt: skip
                for i0 in range(m0, m1, ROW_BLOCK):
                    i1 = min(i0 + ROW_BLOCK, m1)
                    for n in range(n0, n1):
                        source = ((n * group + g) * outputs + i0) * pixels + p0
                        _copy_rows(
                            i1 - i0, p1 - p0, dy, source, pixels,
                            work, dy_at + (n - n0) * pixels, step, False,
                        )  # fmt: skip
                    multiply_rows(
                        i1 - i0, k1 - k0, (n1 - n0) * (p1 - p0), work, dy_at, step,
                        work, columns_at, step, target, sums_at + i0 * rows + k0, rows,
                    )  # fmt: skip


@kernel(parallel=True)
def _weight(
    x, dy, target, geometry, batch, images, inputs, outputs, group, row_block, column_block,
    image_parts, output_parts, work, size, parts,
):  # fmt: skip
    offsets = np.empty((parts, geometry.shape[1]), np.int64)
    for part in prange(parts):
        _weight_part(
            x, dy, target, geometry, batch, images, inputs, outputs, group, row_block,
            column_block, image_parts, output_parts, work, size, parts, np.int64(part),
            offsets[part],
        )  # fmt: skip
