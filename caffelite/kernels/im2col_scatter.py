"""The gradient to the input of a convolution: windows of transposed weights times dy, added up."""

from typing import NamedTuple

import numpy as np

from ._jit import kernel, prange
from ._simd import clear, lanes
from ._tiles import TILE_ROWS, TILE_VECTORS
from ._workspace import workspace
from .gemm import multiply_packed, pack_rows, spaced
from .im2col import IN, KERNEL, OUT, col2im_block
from .im2col_multiply import BLOCK_BYTES, copy_rows


class Plan(NamedTuple):
    """Blocks of `images` images' `column_block` pixels, by `channels` channels of x.

    Of their windows, `row_tiles` tiles of rows are made at a time.
    """

    batch: int
    inputs: int
    outputs: int
    group: int
    images: int
    channels: int
    row_tiles: int
    column_block: int
    items: int
    parts: int
    packed: int  # elements for packed weights
    size: int  # elements of work space for each part
    geometry: np.ndarray

    way = "scatter"


def plan(problem):
    """The blocks for any problem.

    A block is some rows of the windows of a panel of pixels or more, of several images if small.
    """
    batch, inputs, outputs, group = problem[:4]
    window, pixels, threads = problem.positions, problem.pixels, problem.usable_threads
    panel, values = TILE_VECTORS * problem.lanes, BLOCK_BYTES // problem.itemsize
    column_block = max(values // max(outputs, 1) // panel * panel, panel)
    column_block = min(column_block, -(-pixels // panel) * panel)
    images = max(1, min(column_block // pixels, batch))
    row_tiles = 1 + values // (column_block * TILE_ROWS)
    channels = max(1, min(inputs, values // (column_block * window)))
    image_blocks = -(-batch // images)
    if image_blocks * group * -(-inputs // channels) < threads:
        channels = max(1, -(-inputs // threads))
    items = image_blocks * group * -(-inputs // channels)
    step = spaced(column_block, problem.lanes)
    size = (outputs + min(channels * window, row_tiles * TILE_ROWS)) * step + panel
    return Plan(
        batch, inputs, outputs, group, images, channels, row_tiles, column_block, items,
        min(threads, items), problem.weights, size, problem.geometry,
    )  # fmt: skip


def scatter(w, dy, dx, plan):
    """dx = gradient of sum(dy * conv(x, w)) to x; assigned."""
    work = workspace(dx.dtype, plan.packed + plan.parts * plan.size)
    offsets = np.empty((plan.parts, plan.geometry.shape[1]), np.int64)
    w = w.reshape(-1)
    if plan.parts > 1:
        _pack.on(plan.parts)(w, plan, work)
    _scatter.on(plan.parts)(w, dy.reshape(-1), dx.reshape(-1), plan, work, offsets)


@kernel
def _pack_transposed(w, plan, item, out):
    """Pack the weights of one group and block of channels with their columns as rows."""
    inputs, outputs, channels = plan.inputs, plan.outputs, plan.channels
    window, blocks = plan.geometry[KERNEL].prod(), -(-inputs // channels)
    g, c0 = item // blocks, item % blocks * channels
    rows = min(channels, inputs - c0) * window
    at = (g * outputs * inputs + c0) * window
    target = (g * inputs + c0) * window * outputs
    pack_rows(w, at, 1, inputs * window, rows, outputs, out, target)


@kernel(parallel=True)
def _pack(w, plan, work):
    for item in prange(plan.group * -(-plan.inputs // plan.channels)):
        _pack_transposed(w, plan, np.int64(item), work)


@kernel
def _scatter_part(w, dy, dx, plan, work, offsets, part):
    """The `part`-th share of (images, group, channels) blocks of dx; a part alone packs w, too."""
    batch, inputs, outputs, group = plan.batch, plan.inputs, plan.outputs, plan.group
    images, channels, column_block = plan.images, plan.channels, plan.column_block
    geometry = plan.geometry
    plane, pixels = geometry[IN].prod(), geometry[OUT].prod()
    window = geometry[KERNEL].prod()
    blocks = -(-inputs // channels)
    step = spaced(column_block, lanes(dx))
    dy_at = plan.packed + part * plan.size
    columns_at = dy_at + outputs * step
    if plan.parts == 1:
        for item in range(group * blocks):
            _pack_transposed(w, plan, item, work)
    for item in range(part * plan.items // plan.parts, (part + 1) * plan.items // plan.parts):
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
                copy_rows(outputs, p1 - p0, dy, source, pixels, work, to, step, False)
            for t in range(0, tiles, plan.row_tiles):
                end = min(t + plan.row_tiles, tiles)
                multiply_packed(
                    rows, t, end, (n1 - n0) * (p1 - p0), outputs,
                    work, (g * inputs + c0) * window * outputs, outputs, 0,
                    work, dy_at, step, work, columns_at, step, False,
                )  # fmt: skip
                k0, k1 = t * rows // tiles, end * rows // tiles
                for n in range(n0, n1):
                    col2im_block(
                        work, columns_at + (n - n0) * pixels, step, geometry, k0, k1, p0, p1,
                        dx, ((n * group + g) * inputs + c0) * plane, offsets[part],
                    )  # fmt: skip


@kernel(parallel=True, part=_scatter_part)
def _scatter(w, dy, dx, plan, work, offsets):
    for part in prange(plan.parts):
        _scatter_part(w, dy, dx, plan, work, offsets, np.int64(part))
