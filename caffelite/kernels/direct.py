"""Convolution in one or two spatial axes without a matrix of windows.

A band of output lines needs a band of input lines. The input band is copied once, padded, to a
layout where the pixel under kernel position (r, s) of output (i, j) lies at

    base[i, j] + offset[c, r, s]

with consecutive j next to each other: a stride of 2 is gone because even and odd lines and columns
are stored apart. Register tiles then read the copy in place through these two tables. Several
small images make up a band together.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ._jit import kernel, prange, thread_count
from ._simd import VECTOR_BYTES, add, clear, copy, lanes
from ._tiles import (
    LINE_SEGMENTS,
    PIXEL_ROWS,
    TILE_ROWS,
    TILE_VECTORS,
    line_tile,
    pixel_tile,
    transpose,
)
from ._workspace import workspace

BAND_BYTES = 3 << 17
"""Aim for the size of a copied band: it should stay in a 1 MB L2 cache beside the weights."""
BAND_PIXELS = 1024
"""Most output pixels of a band in `backward_weight`, unless a line has more."""
LONG_LINE = 256
"""Pixels up to which lines are joined where a kernel looks at one pixel."""
SMALL_WEIGHTS = 1 << 16
"""Weights fewer than this are summed per thread, each over its share of the images."""


class Band(NamedTuple):
    """How a band is laid out; see `_copy_band` for `layout`."""

    layout: np.ndarray
    base: np.ndarray
    offsets: np.ndarray
    plane: int


@lru_cache(maxsize=512)
def _band(geometry, channels, images, lines):
    """Tables for bands of `images` images, `lines` output lines and `channels` channels."""
    size, out, kernel_shape, stride, pad, dilation = geometry
    phases, extra = [], []
    for k, s, d in zip(kernel_shape, stride, dilation, strict=True):
        phases.append(sorted({at * d % s for at in range(k)}))
        extra.append((k - 1) * d // s)
    rows, columns = lines + extra[0], out[1] + extra[1]
    row_size = len(phases[1]) * columns
    plane = len(phases[0]) * rows * row_size

    def along(axis, block, step):
        at = np.arange(kernel_shape[axis]) * dilation[axis]
        phase = np.searchsorted(phases[axis], at % stride[axis])
        return phase * block + at // stride[axis] * step

    channel = np.arange(channels)[:, None, None] * plane
    down, across = along(0, rows * row_size, row_size), along(1, columns, 1)
    offsets = channel + down[:, None] + across
    image = np.arange(images)[:, None, None] * (channels * plane)
    base = image + np.arange(lines)[:, None] * row_size + np.arange(out[1])
    # windows may reach beyond the image, at its end also without a pad
    ends = zip(size, out, kernel_shape, stride, pad, dilation, strict=True)
    beyond = any(p > 0 or (o - 1) * s + (k - 1) * d - p >= i for i, o, k, s, p, d in ends)
    head = (*size, *stride, *pad, rows, columns, len(phases[0]), len(phases[1]), beyond)
    layout = np.array((*head, *phases[0], *phases[1]), np.int64)
    return Band(layout, base.reshape(-1).astype(np.int64), offsets.reshape(-1), plane)


@lru_cache(maxsize=512)
def _vectors(geometry, channels, images, lines, per_vector):
    """The `vectors` table of `line_tile` for a band, and its number of segments."""
    base = _band(geometry, channels, images, lines).base
    panel = TILE_VECTORS * per_vector
    missing = -len(base) % panel
    base = np.concatenate([base, base[-1] + 1 + np.arange(missing)]).reshape(-1, per_vector)
    breaks = np.ones(base.shape, bool)
    breaks[:, 1:] = np.diff(base) != 1
    segments = int(breaks.sum(axis=1).max())
    table = np.empty((len(base), 2, segments), np.int64)
    for row, pixels, starts in zip(table, base, map(np.flatnonzero, breaks), strict=True):
        row[0], row[1] = pixels[0], per_vector
        row[0, : len(starts)], row[1, : len(starts)] = pixels[starts] - starts, starts
    return table.reshape(-1), segments


def canonical(geometry):
    """A geometry array as tuples with two axes, or None if it has more."""
    if geometry.shape[1] > 2:
        return None
    if geometry.shape[1] == 1:
        geometry = np.stack([np.array([1, 1, 1, 1, 0, 1]), geometry[:, 0]], axis=1)
    size, out, kernel_shape, stride, pad, dilation = map(tuple, geometry.tolist())
    if size == out and kernel_shape == stride == (1, 1) and pad == (0, 0):
        # pixels without neighbours: fewer, longer lines are faster to copy
        longest = max(LONG_LINE // out[1], 1)
        joined = next(n for n in range(min(longest, out[0]), 0, -1) if out[0] % n == 0)
        size = out = (out[0] // joined, out[1] * joined)
    return size, out, kernel_shape, stride, pad, dilation


def can_read_lines(geometry, itemsize):
    """Whether no vector touches more than LINE_SEGMENTS lines of output."""
    lanes_of_vector = VECTOR_BYTES // itemsize
    return geometry is not None and (lanes_of_vector - 2) // geometry[1][1] + 2 <= LINE_SEGMENTS


class Lines(NamedTuple):
    """How `multiply_lines` goes about it: work in bands, and who does what."""

    images: int
    lines: int
    items: int
    parts: int
    weights: int  # elements for weights packed beforehand, 0 where the part that needs them does
    size: int  # elements of work space for each part
    band: Band
    vectors: np.ndarray
    segments: int


@lru_cache(maxsize=512)
def _plan_lines(geometry, sizes, batch, itemsize, threads):
    inputs, outputs, group = sizes
    per_vector = VECTOR_BYTES // itemsize
    panel = TILE_VECTORS * per_vector
    height, width = geometry[1]
    pixels = height * width
    line = _band(geometry, inputs, 1, 2).plane - _band(geometry, inputs, 1, 1).plane
    halo = _band(geometry, inputs, 1, 1).plane - line
    budget = BAND_BYTES // itemsize // inputs
    lines = min(height, max(1, (budget - halo) // line))
    images = 1
    if lines == height:
        # small images together waste fewer lanes; past L2, more than one still pays
        most = min(4 * budget // (halo + line * height), 8)
        choices = [n for n in range(1, most + 1) if batch % n == 0] or [1]
        waste = [-(n * pixels) % panel / (n * pixels) for n in choices]
        images = next(
            n for n, part in zip(choices, waste, strict=True) if part <= min(waste) + 0.03
        )
    lines = -(-height // -(-height // lines))
    items = batch // images * group * -(-height // lines)
    band = _band(geometry, inputs, images, lines)
    # weights that only one band uses are packed where it does, and need not leave the cache
    shared = items > group
    weights = group * outputs * len(band.offsets) if shared else 0
    own = 0 if shared else TILE_ROWS * len(band.offsets)
    return Lines(
        images, lines, items, min(threads, items * -(-outputs // TILE_ROWS)), weights,
        images * inputs * band.plane + (3 + TILE_ROWS) * panel + own,
        band, *_vectors(geometry, inputs, images, lines, per_vector),
    )  # fmt: skip


def multiply_lines(x, w, w_at, w_steps, y, geometry, sizes, epilogue):
    """y = weights times windows of x, and an epilogue; for w_at and w_steps see `pack_tile`."""
    threads = thread_count(y.size * sizes[0] * math.prod(geometry[2]))
    plan = _plan_lines(geometry, sizes, x.shape[0], x.itemsize, threads)
    work = workspace(x.dtype, plan.weights + plan.parts * plan.size)
    run = _lines.on(plan.parts)
    run(
        x.reshape(-1), w.reshape(-1), w_at, np.array(w_steps, np.int64), y.reshape(-1),
        plan.band.layout, plan.band.offsets, plan.vectors, plan.segments,
        x.shape[0], plan.images, *sizes, *geometry[1], plan.lines, plan.band.plane,
        epilogue, work, plan.weights, plan.size, plan.items, plan.parts,
    )  # fmt: skip


@kernel
def pack_tile(w, w_at, w_steps, outputs, item, out, out_at):
    """Pack one tile of rows of one group's weights, depth first, tiles and groups in order.

    `out_at` is where the first tile of all lies.

    `w_steps`: elements from group to group, output to output, input to input, and from tap to tap
    of the window; then the numbers of inputs and taps.
    """
    group_step, row_step, input_step, tap_step, inputs, taps = w_steps
    depth = inputs * taps
    tiles = -(-outputs // TILE_ROWS)
    g, t = item // tiles, item % tiles
    first, last = t * outputs // tiles, (t + 1) * outputs // tiles
    rows = last - first
    start = w_at + g * group_step + first * row_step
    target = out_at + (g * outputs + first) * depth
    square, done = lanes(out), 0
    if tap_step == 1 and input_step == taps and start + (rows + square) * row_step <= len(w):
        # Squares reach past the tile's last row, so each row of `out` is written after the one
        # before it, from the right; the end is left for below.
        done = max(depth - square, 0) // square * square
        for k in range(0, done, square):
            for r in range((rows - 1) // square * square, -1, -square):
                transpose(w, start + r * row_step + k, row_step, out, target + k * rows + r, rows)
    for k in range(done, depth):
        source = start + k // taps * input_step + k % taps * tap_step
        copy(rows, w, source, row_step, out, target + k * rows, 1)


@kernel
def _copy_band(x, x_at, layout, channels, line, out, out_at):
    """Copy input for the output lines from `line` on: channel, phase and line, phase and column.

    `layout`: height and width, strides, pads, lines and columns per phase, numbers of phases down
    and across, whether windows reach beyond the image, and the phases.
    """
    height, width, down, across, above, left = layout[:6]
    rows, columns, row_phases, column_phases, beyond = layout[6:11]
    if beyond:
        clear(channels * row_phases * rows * column_phases * columns, out, out_at)
    for c in range(channels):
        for a in range(row_phases):
            i0 = line * down + layout[11 + a] - above
            first = max(-(i0 // down), 0)
            last = min(-((i0 - height) // down), rows)
            for b in range(column_phases):
                shift = layout[11 + row_phases + b] - left
                low = max(-(shift // across), 0)
                count = min(-((shift - width) // across), columns) - low
                for t in range(first, last):
                    to = ((c * row_phases + a) * rows + t) * column_phases + b
                    source = x_at + (c * height + i0 + t * down) * width + shift + low * across
                    copy(count, x, source, across, out, out_at + to * columns + low, 1)


@kernel
def _lines_part(
    x, w, w_at, w_steps, y, layout, offsets, vectors, segments, batch, images, inputs, outputs,
    group, height, width, lines, plane, epilogue, work, weights, size, items, parts, part,
):  # fmt: skip
    """The `part`-th share of the tiles of outputs of all (images, group, lines) bands of y."""
    pixels, depth, panel = height * width, len(offsets), TILE_VECTORS * lanes(x)
    tiles, bands = -(-outputs // TILE_ROWS), -(-height // lines)
    begin, end = part * items * tiles // parts, (part + 1) * items * tiles // parts
    x_plane = layout[0] * layout[1]
    staging_at = weights + part * size
    band_at = staging_at + (TILE_ROWS + 1) * panel
    own_at = weights + (part + 1) * size - TILE_ROWS * depth
    for item in range(begin // tiles, -(-end // tiles)):
        g, line = item // bands % group, item % bands * lines
        n0 = item // (bands * group) * images
        n1 = n0 + images
        for n in range(n0, n1):
            _copy_band(
                x, (n * group + g) * inputs * x_plane, layout, inputs, line,
                work, band_at + (n - n0) * inputs * plane,
            )  # fmt: skip
        count = (n1 - n0) * (min(lines, height - line) * width)
        for t in range(max(begin - item * tiles, 0), min(end - item * tiles, tiles)):
            first, last = t * outputs // tiles, (t + 1) * outputs // tiles
            rows = last - first
            a_at = (g * outputs + first) * depth
            if weights == 0:
                pack_tile(w, w_at, w_steps, outputs, g * tiles + t, work, own_at - a_at)
                a_at = own_at
            target = ((n0 * group + g) * outputs + first) * pixels + line * width
            for p in range(0, count, panel):
                table_at = p // panel * (TILE_VECTORS * 2 * segments)
                columns = min(panel, count - p)
                if images == 1:
                    line_tile(
                        segments, rows, depth, work, a_at, work, band_at, offsets, 0,
                        vectors, table_at, epilogue, g * outputs + first,
                        y, target + p, pixels, columns,
                    )  # fmt: skip
                    continue
                line_tile(
                    segments, rows, depth, work, a_at, work, band_at, offsets, 0,
                    vectors, table_at, epilogue, g * outputs + first,
                    work, staging_at, panel, columns,
                )  # fmt: skip
                done = 0
                while done < columns:
                    n, pixel = (p + done) // pixels, (p + done) % pixels
                    run = min(columns - done, pixels - pixel)
                    for r in range(rows):
                        to = target + n * (group * outputs * pixels) + r * pixels + pixel
                        source = staging_at + r * panel + done
                        copy(run, work, source, 1, y, to, 1)
                    done += run


@kernel(parallel=True)
def _lines(
    x, w, w_at, w_steps, y, layout, offsets, vectors, segments, batch, images, inputs, outputs,
    group, height, width, lines, plane, epilogue, work, weights, size, items, parts,
):  # fmt: skip
    if weights:
        for item in prange(group * -(-outputs // TILE_ROWS)):
            pack_tile(w, w_at, w_steps, outputs, np.int64(item), work, 0)
    for part in prange(parts):
        _lines_part(
            x, w, w_at, w_steps, y, layout, offsets, vectors, segments, batch, images, inputs,
            outputs, group, height, width, lines, plane, epilogue, work, weights, size, items,
            parts, np.int64(part),
        )  # fmt: skip


def backward_weight(x, dy, dw, geometry, group):
    """dw += gradient of sum(dy * conv(x, w)) to w."""
    batch, inputs, outputs = x.shape[0], dw.shape[1], dw.shape[0] // group
    threads = thread_count(dy.size * math.prod(dw.shape[1:]))
    panel = TILE_VECTORS * VECTOR_BYTES // x.itemsize
    height, width = geometry[1]
    pixels, taps = height * width, geometry[2][0] * geometry[2][1]
    image_parts = min(threads, batch) if dw.size <= SMALL_WEIGHTS else 1
    # few products per pixel: shorter bands of more channels, so that dy is turned less often
    most = max(128, min(BAND_PIXELS, BAND_PIXELS * taps // 4))
    lines = max(1, min(height, most // width))
    lines = -(-height // -(-height // lines))
    images = max(1, min(-(-batch // image_parts), most // pixels))
    plane = images * _band(geometry, 1, 1, lines).plane
    channels = max(1, min(inputs, BAND_BYTES // x.itemsize // plane))
    blocks = -(-inputs // channels)
    while blocks < inputs and image_parts * group * blocks % threads:
        blocks += 1
    channels = -(-inputs // blocks)
    items = image_parts * group * -(-inputs // channels)
    band = _band(geometry, channels, images, lines)
    padded = -(-outputs // panel) * panel
    parts = min(threads, items)
    size = channels * (taps * padded + images * band.plane) + (images * lines * width + 1) * panel
    size += (panel // TILE_VECTORS) ** 2  # for `add_turned`, where maps are tiny
    sums = dw.size * image_parts if image_parts > 1 else 0
    work = workspace(x.dtype, parts * size + sums)
    target = work[parts * size :][:sums] if sums else dw.reshape(-1)
    target[:sums] = 0
    run = _weight.on(parts)
    run(
        x.reshape(-1), dy.reshape(-1), target, band.layout, band.offsets, band.base, batch,
        images, inputs, outputs, group, height, width, lines, channels, band.plane, taps, padded,
        image_parts, work, size, items, parts,
    )  # fmt: skip
    for part in target[:sums].reshape(-1, *dw.shape):
        dw += part


@kernel
def turn(dy, dy_at, dy_step, rows, columns, out, out_at, out_step):
    """out[j, i] = dy[i, j]; zero from `rows` on."""
    square = lanes(dy)
    whole_rows, whole_columns = rows // square * square, columns // square * square
    for i in range(0, whole_rows, square):
        for j in range(0, whole_columns, square):
            transpose(
                dy, dy_at + i * dy_step + j, dy_step, out, out_at + j * out_step + i, out_step
            )
    for i in range(rows):
        start = whole_columns if i < whole_rows else 0
        to = out_at + start * out_step + i
        copy(columns - start, dy, dy_at + i * dy_step + start, 1, out, to, out_step)
    if rows < out_step:
        for j in range(columns):
            clear(out_step - rows, out, out_at + j * out_step + rows)


@kernel
def add_turned(x, x_at, x_step, rows, columns, out, out_at, out_step, turned_at):
    """out[j, i] += x[i, j]; rows of x are whole vectors long.

    From x[turned_at] on, a square of as many values as a vector has, squared, is work space.
    """
    square = lanes(out)
    for i in range(0, rows, square):
        for j in range(0, columns, square):
            source, to = x_at + i * x_step + j, out_at + j * out_step + i
            if i + square <= rows:
                transpose(x, source, x_step, x, turned_at, square)
                for k in range(min(square, columns - j)):
                    add(square, x, turned_at + k * square, 1, out, to + k * out_step, 1)
            else:
                for k in range(min(square, columns - j)):
                    add(rows - i, x, source + k, x_step, out, to + k * out_step, 1)


@kernel
def _weight_part(
    x, dy, target, layout, offsets, base, batch, images, inputs, outputs, group, height, width,
    lines, channels, plane, taps, padded, image_parts, work, size, items, parts, part,
):  # fmt: skip
    """The `part`-th share of (images, group, channels) blocks of the gradient.

    What the images' parts add up to is laid out as dw, one part behind another.
    """
    pixels, panel, x_plane = height * width, TILE_VECTORS * lanes(x), layout[0] * layout[1]
    blocks, image_blocks = -(-inputs // channels), -(-batch // images)
    sums_at = part * size
    turned_at = sums_at + channels * taps * padded
    band_at = turned_at + images * lines * width * panel
    for item in range(part * items // parts, (part + 1) * items // parts):
        c0, g, image_part = (
            item % blocks * channels,
            item // blocks % group,
            item // blocks // group,
        )
        c1 = min(c0 + channels, inputs)
        rows = (c1 - c0) * taps
        clear(rows * padded, work, sums_at)
        tiles = -(-rows // PIXEL_ROWS)
        first = image_part * image_blocks // image_parts * images
        last = min((image_part + 1) * image_blocks // image_parts * images, batch)
        for n0 in range(first, last, images):
            n1 = min(n0 + images, last)
            for line in range(0, height, lines):
                count = min(lines, height - line) * width
                for n in range(n0, n1):
                    _copy_band(
                        x, ((n * group + g) * inputs + c0) * x_plane, layout, c1 - c0, line,
                        work, band_at + (n - n0) * channels * plane,
                    )  # fmt: skip
                for m in range(0, outputs, panel):
                    for n in range(n0, n1):
                        source = ((n * group + g) * outputs + m) * pixels + line * width
                        turn(
                            dy, source, pixels, min(panel, outputs - m), count,
                            work, turned_at + (n - n0) * count * panel, panel,
                        )  # fmt: skip
                    for t in range(tiles):
                        r0, r1 = t * rows // tiles, (t + 1) * rows // tiles
                        pixel_tile(
                            r1 - r0, (n1 - n0) * count, work, band_at, base, 0, offsets, r0,
                            work, turned_at, work, sums_at + r0 * padded + m, padded,
                        )  # fmt: skip
        add_turned(
            work, sums_at, padded, rows, outputs,
            target, ((image_part * group + g) * outputs * inputs + c0) * taps, inputs * taps,
            turned_at,
        )  # fmt: skip


@kernel(parallel=True)
def _weight(
    x, dy, target, layout, offsets, base, batch, images, inputs, outputs, group, height, width,
    lines, channels, plane, taps, padded, image_parts, work, size, items, parts,
):  # fmt: skip
    for part in prange(parts):
        _weight_part(
            x, dy, target, layout, offsets, base, batch, images, inputs, outputs, group, height,
            width, lines, channels, plane, taps, padded, image_parts, work, size, items, parts,
            np.int64(part),
        )  # fmt: skip
