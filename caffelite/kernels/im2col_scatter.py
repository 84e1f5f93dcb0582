"""The gradient to the input of a convolution: windows of transposed weights times dy, added up."""

from typing import NamedTuple

import numpy as np

from ._jit import kernel, prange
from ._problem import uneven
from ._simd import clear, lanes
from ._tiles import TILE_ROWS, TILE_VECTORS
from ._workspace import workspace
from .gemm import FEW_TILES, multiply_tiles, pack_rows, pack_tiles, spaced
from .im2col import IN, KERNEL, OUT, col2im_block
from .im2col_multiply import BLOCK_BYTES, DEPTH_BLOCK, copy_rows


class Plan(NamedTuple):
    """Blocks of `images` images' `column_block` pixels, by `channels` channels of x.

    Of their windows, `row_tiles` tiles of rows are made at a time, of `depth_block` products each.
    """

    batch: int
    inputs: int
    outputs: int
    group: int
    images: int
    channels: int
    row_tiles: int
    column_block: int
    depth_block: int
    items: int
    parts: int
    packed: int  # elements for packed weights, 0 where the block that needs them packs them
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
    depth_block = -(-outputs // -(-outputs // DEPTH_BLOCK))
    column_block = max(values // depth_block // panel * panel, panel)
    column_block = min(column_block, -(-pixels // panel) * panel)
    images = max(1, min(column_block // pixels, batch))
    row_tiles = 1 + values // (column_block * TILE_ROWS)
    channels = max(1, min(inputs, values // (column_block * window)))
    image_blocks = -(-batch // images)
    if image_blocks * group * -(-inputs // channels) < threads:
        channels = max(1, -(-inputs // threads))
    blocks = -(-inputs // channels)
    while blocks < inputs and uneven(image_blocks * group * blocks, threads):
        blocks += 1
    channels = -(-inputs // blocks)
    items = image_blocks * group * -(-inputs // channels)
    step = spaced(column_block, problem.lanes)
    size = (depth_block + min(channels * window, row_tiles * TILE_ROWS)) * step + panel
    packed = problem.weights if image_blocks > 1 or column_block < pixels else 0
    if not packed:
        size += FEW_TILES * TILE_ROWS * depth_block
    return Plan(
        batch, inputs, outputs, group, images, channels, row_tiles, column_block, depth_block,
        items, min(threads, items), packed, size, problem.geometry,
    )  # fmt: skip


def scatter(w, dy, dx, plan):
    """dx = gradient of sum(dy * conv(x, w)) to x; assigned."""
    work = workspace(dx.dtype, plan.packed + plan.parts * plan.size)
    offsets = np.empty((plan.parts, plan.geometry.shape[1]), np.int64)
    w = w.reshape(-1)
    if plan.packed and plan.parts > 1:
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
def _pack(w, plan, work, share):
    for item in prange(plan.group * -(-plan.inputs // plan.channels), share):
        _pack_transposed(w, plan, item, work)


@kernel(parallel=True)
def _scatter(w, dy, dx, plan, work, offsets, share):
    """A share of (images, group, channels) blocks of dx; a part alone packs w, too."""
    part, parts = share
    batch, inputs, outputs, group = plan.batch, plan.inputs, plan.outputs, plan.group
    images, channels, column_block = plan.images, plan.channels, plan.column_block
    depth_block, geometry = plan.depth_block, plan.geometry
    plane, pixels = geometry[IN].prod(), geometry[OUT].prod()
    window = geometry[KERNEL].prod()
    blocks = -(-inputs // channels)
    step = spaced(column_block, lanes(dx))
    dy_at = plan.packed + part * plan.size
    columns_at = dy_at + depth_block * step
    own_at = dy_at + plan.size - FEW_TILES * TILE_ROWS * depth_block
    if plan.packed and parts == 1:
        for item in range(group * blocks):
            _pack_transposed(w, plan, item, work)
    for item in prange(plan.items, share):
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
            for t in range(0, tiles, plan.row_tiles):
                end = min(t + plan.row_tiles, tiles)
                for m0 in range(0, outputs, depth_block):
                    m1 = min(m0 + depth_block, outputs)
                    for n in range(n0, n1 if t == 0 or depth_block < outputs else n0):
                        source = ((n * group + g) * outputs + m0) * pixels + p0
                        to = dy_at + (n - n0) * pixels
                        copy_rows(m1 - m0, p1 - p0, dy, source, pixels, work, to, step, False)
                    if plan.packed:
                        multiply_tiles(
                            rows, t, end, (n1 - n0) * (p1 - p0), m1 - m0,
                            work, (g * inputs + c0) * window * outputs, outputs, m0,
                            work, dy_at, step, work, columns_at, step, m0 > 0,
                        )  # fmt: skip
                        continue
                    w_at = ((g * outputs + m0) * inputs + c0) * window
                    for s in range(t, end, FEW_TILES):
                        e = min(s + FEW_TILES, end)
                        first, depth = s * rows // tiles, m1 - m0
                        a_at, c_row = own_at - first * depth, first - t * rows // tiles
                        pack_tiles(w, w_at, inputs * window, rows, depth, s, e, work, a_at)
                        multiply_tiles(
                            rows, s, e, (n1 - n0) * (p1 - p0), depth, work, a_at, depth, 0,
                            work, dy_at, step, work, columns_at + c_row * step, step, m0 > 0,
                        )  # fmt: skip
                k0, k1 = t * rows // tiles, end * rows // tiles
                for n in range(n0, n1):
                    col2im_block(
                        work, columns_at + (n - n0) * pixels, step, geometry, k0, k1, p0, p1,
                        dx, ((n * group + g) * inputs + c0) * plane, offsets[part],
                    )  # fmt: skip
