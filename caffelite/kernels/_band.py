"""Bands of input lines, copied to a layout in which register tiles read windows in place.

A band of output lines needs a band of input lines. The input band is copied once, padded, to a
layout where the pixel under kernel position (r, s) of output (i, j) lies at

    base[i, j] + offset[c, r, s]

with consecutive j next to each other: a stride of 2 is gone because even and odd lines and columns
are stored apart. Register tiles then read the copy in place through these two tables. Several
small images make up a band together.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ._jit import kernel
from ._simd import clear, copy
from ._tiles import TILE_VECTORS


class Band(NamedTuple):
    """How a band is laid out; see `copy_band` for `layout`. A channel has `plane` values."""

    layout: np.ndarray
    base: np.ndarray
    offsets: np.ndarray
    plane: int


def band_of(problem, channels, images, lines):
    """Tables for bands of `images` images, `lines` output lines and `channels` channels."""
    axes = problem.size, problem.out, problem.kernel, problem.stride, problem.pad, problem.dilation
    return _band(axes, channels, images, lines)


@lru_cache(maxsize=512)
def _band(axes, channels, images, lines):
    size, out, kernel_shape, stride, pad, dilation = axes
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
    each = zip(*axes, strict=True)
    beyond = any(p > 0 or (o - 1) * s + (k - 1) * d - p >= i for i, o, k, s, p, d in each)
    head = (*size, *stride, *pad, rows, columns, len(phases[0]), len(phases[1]), beyond)
    layout = np.array((*head, *phases[0], *phases[1]), np.int64)
    return Band(layout, base.reshape(-1).astype(np.int64), offsets.reshape(-1), plane)


def vectors_of(base, per_vector):
    """The `vectors` table of `line_tile` for a band's base, and its number of segments."""
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


@kernel
def copy_band(x, x_at, layout, channels, line, out, out_at):
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
