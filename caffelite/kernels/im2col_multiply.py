"""Convolution by im2col, in any number of axes: packed weights times windows as matrices.

Each thread takes a run of pixels and writes their windows as a matrix small enough for its cache.
"""

from typing import NamedTuple

import numpy as np

from . import affine
from ._jit import kernel, prange
from ._pack import pack_tile, pack_weights
from ._problem import uneven
from ._simd import add, copy, lanes
from ._tiles import TILE_ROWS, TILE_VECTORS
from ._workspace import workspace
from .gemm import multiply_tiles, spaced
from .im2col import IN, KERNEL, OUT, im2col_block

DEPTH_BLOCK = 512
"""Rows of the window matrix multiplied at a time."""
BLOCK_BYTES = 1 << 19
"""Aim for the size of a block of the window matrix: half of a common L2 cache."""
STAGED_TILES = 8
"""Tiles of y computed beside y when a block spans images."""


class Plan(NamedTuple):
    """Blocks of `images` images, or of `column_block` pixels of one, by `depth_block` products."""

    batch: int
    inputs: int
    outputs: int
    group: int
    images: int
    depth_block: int
    column_block: int
    items: int
    parts: int
    packed: int  # elements for packed weights
    size: int  # elements of work space for each part: a block,
    staging: int  # and y of a block that spans images
    geometry: np.ndarray

    way = "im2col"
    adds = False
    strided = False


def plan(problem):
    """The blocks for any problem."""
    batch, inputs, outputs, group = problem[:4]
    depth, pixels, threads = problem.depth, problem.pixels, problem.usable_threads
    panel = TILE_VECTORS * problem.lanes
    depth_block = -(-depth // -(-depth // DEPTH_BLOCK))
    column_block = max(BLOCK_BYTES // problem.itemsize // depth_block // panel * panel, panel)
    images = max(1, min(column_block // pixels, batch * group // threads))
    if images == 1:
        # spread the pixels evenly over whole panels, and over the threads of a small batch
        panels = -(-pixels // panel)
        blocks = max(-(-pixels // column_block), min(threads // (batch * group), panels))
        while blocks < panels and uneven(batch * group * blocks, threads):
            blocks += 1
        column_block = -(-panels // blocks) * panel
    else:
        column_block = images * pixels
    step = spaced(column_block, problem.lanes)
    items = -(-batch // images) * group * (-(-pixels // column_block) if images == 1 else 1)
    return Plan(
        batch, inputs, outputs, group, images, depth_block, column_block, items,
        min(threads, items), problem.weights, depth_block * step + panel,
        min(outputs, STAGED_TILES * TILE_ROWS) * step if images > 1 else 0,
        problem.geometry,
    )  # fmt: skip


def multiply(x, w, y, plan, weights, epilogue):
    """y = weights times windows of x, and an epilogue; `weights` is the WeightLayout of w."""
    work = workspace(x.dtype, plan.packed + plan.parts * (plan.size + plan.staging))
    packed, w = work[: plan.packed], w.reshape(-1)
    if plan.parts > 1:
        pack_weights.on(plan.parts)(w, weights, plan.group, plan.outputs, packed)
    _run(x, w, y, plan, weights, epilogue, packed, work[plan.packed :])


def multiply_packed(x, packed, y, plan, weights, epilogue):
    """`multiply` by weights that `pack` has packed."""
    work = workspace(x.dtype, plan.parts * (plan.size + plan.staging))
    _run(x, packed[:0], y, plan, weights, epilogue, packed, work)


def _run(x, w, y, plan, weights, epilogue, packed, work):
    offsets = np.empty((plan.parts, plan.geometry.shape[1]), np.int64)
    flat = x.reshape(-1), w, y.reshape(-1)
    _multiply.on(plan.parts)(*flat, plan, weights, packed, work, offsets)
    if epilogue.slope.size:
        by_channel = y.reshape(*y.shape[:2], -1)
        affine.forward(by_channel, epilogue, by_channel)


@kernel(parallel=True)
def _multiply(x, w, y, plan, weights, packed, work, offsets, share):
    """A share of (images, group, pixels) blocks of y.

    A part alone packs w, too, unless that is empty.
    """
    part, parts = share
    batch, inputs, outputs, group = plan.batch, plan.inputs, plan.outputs, plan.group
    images, column_block, geometry = plan.images, plan.column_block, plan.geometry
    plane, pixels = geometry[IN].prod(), geometry[OUT].prod()
    depth, tiles = inputs * geometry[KERNEL].prod(), -(-outputs // TILE_ROWS)
    step = spaced(column_block, lanes(x))
    columns_at = part * (plan.size + plan.staging)
    staging_at = columns_at + plan.size
    per_image = -(-pixels // column_block)
    if parts == 1 and w.size:
        for item in range(group * tiles):
            pack_tile(w, weights, outputs, item, packed, 0)
    for item in prange(plan.items, share):
        g = item // per_image % group
        n0 = item // (per_image * group) * images
        n1 = min(n0 + images, batch)
        p0 = item % per_image * column_block
        p1 = min(p0 + column_block, pixels)
        weights_at = g * outputs * depth
        for k0 in range(0, depth, plan.depth_block):
            k1 = min(k0 + plan.depth_block, depth)
            for n in range(n0, n1):
                im2col_block(
                    x, (n * group + g) * inputs * plane, geometry, k0, k1, p0, p1,
                    work, columns_at + (n - n0) * pixels, step, offsets[part],
                )  # fmt: skip
            if images == 1:
                target = (n0 * group + g) * outputs * pixels + p0
                multiply_tiles(
                    outputs, 0, tiles, p1 - p0, k1 - k0, packed, weights_at, depth, k0,
                    work, columns_at, step, y, target, pixels, k0 > 0,
                )  # fmt: skip
            else:
                for t in range(0, tiles, STAGED_TILES):
                    end = min(t + STAGED_TILES, tiles)
                    multiply_tiles(
                        outputs, t, end, (n1 - n0) * pixels, k1 - k0, packed, weights_at, depth, k0,
                        work, columns_at, step, work, staging_at, step, False,
                    )  # fmt: skip
                    m0, m1 = t * outputs // tiles, end * outputs // tiles
                    for n in range(n0, n1):
                        target = ((n * group + g) * outputs + m0) * pixels
                        source = staging_at + (n - n0) * pixels
                        copy_rows(m1 - m0, pixels, work, source, step, y, target, pixels, k0 > 0)


@kernel
def copy_rows(rows, columns, a, a_at, a_step, c, c_at, c_step, accumulate):
    """c[r, j] = a[r, j], or added to it."""
    for r in range(rows):
        if accumulate:
            add(columns, a, a_at + r * a_step, 1, c, c_at + r * c_step, 1)
        else:
            copy(columns, a, a_at + r * a_step, 1, c, c_at + r * c_step, 1)
