"""A convolution of each channel by itself, then one of 1 by 1 kernels, block of lines by block.

What is between them is as large as x, or larger. Of a block, it is computed into memory of the
thread that goes on with it, so that it never leaves the caches of a core: no other core reads it,
and nobody has to take it back from there for the next pass.
"""

import itertools
from typing import NamedTuple

from . import depthwise, pointwise, turned
from ._depthwise_tiles import depthwise_lines
from ._jit import kernel, prange, thread_count
from ._panel_tiles import copy_panel, panel_tile, turned_tile
from ._simd import lanes
from ._tiles import TILE_ROWS, TILE_VECTORS
from ._vectors import VECTOR_BYTES
from ._workspace import workspace

BLOCK_BYTES = 1 << 19
"""Aim for the size of what is between, packed or not: it should stay in an L2 cache."""
UNUSED = 0.1
"""Share of lanes without a pixel from which on lanes are outputs, if they can be."""
MANY_OUTPUTS = 256
"""Outputs from which on they are, however few are unused: panels of pixels would go by their
weights too often."""
UNEVEN = 1.1
"""Times its even share of the lines that a thread may have: what is saved is not much more."""


class Plan(NamedTuple):
    """`blocks` of lines of each image, shared out to `parts` threads."""

    outputs: int
    batch: int
    blocks: int
    turns: int  # whether lanes of vectors are outputs, not pixels
    panels: int  # of outputs, if it turns
    step: int  # from channel to channel of what is between
    parts: int
    size: int  # elements of work space for each part


def plan(first, then, batch, itemsize):
    """The blocks for a depthwise.Plan and that of 1 by 1 kernels after it; None if it cannot pay.

    That is where windows are spread, more than one output sees a channel, the second has groups or
    strides, or lines are too few to be shared out.
    """
    if not (isinstance(first, depthwise.Plan) and isinstance(then, (turned.Plan, pointwise.Plan))):
        return None
    channels, lines, columns = first.group, first.lines, first.columns
    seen = then.pixels if isinstance(then, pointwise.Plan) else then.lines * then.width
    strides = seen != lines * columns
    if first.outputs > 1 or (first.gap_h, first.gap_w) != (1, 1) or then.group > 1 or strides:
        return None
    threads = thread_count(batch * lines * columns * channels * then.outputs)
    most, vector = BLOCK_BYTES // (channels * columns * itemsize), VECTOR_BYTES // itemsize
    turns, blocks = 0, _blocks(lines, most // 2, batch, threads)
    pixels = -(-lines // blocks) * columns
    waste = -pixels % vector > UNUSED * pixels
    if isinstance(then, turned.Plan) and (waste or then.outputs >= MANY_OUTPUTS):
        turns, blocks = 1, _blocks(lines, most, batch, threads)
        pixels = -(-lines // blocks) * columns
    items = batch * blocks
    ends = [line_of(part * items // threads, lines, blocks) for part in range(threads + 1)]
    largest = max(end - start for start, end in itertools.pairwise(ends))
    if largest * threads > UNEVEN * batch * lines:
        return None
    panel = TILE_VECTORS * vector
    step = (-(-pixels // vector) | 1) * vector  # spread over the sets of a cache
    size = channels * step + panel
    if not turns:
        size += -(-pixels // panel) * channels * panel
    panels = -(-then.outputs // panel)
    return Plan(then.outputs, batch, blocks, turns, panels, step, threads, size)


def _blocks(lines, most, batch, threads):
    """In how many blocks of `most` lines at most to cut an image, for threads to have as many."""
    blocks = -(-lines // max(1, most))
    while blocks < lines and batch * blocks % threads:
        blocks += 1
    return blocks


def line_of(item, lines, blocks):
    """The line, counted through all images, at which a block begins."""
    return item // blocks * lines + item % blocks * lines // blocks


_line = kernel(line_of)


def multiply_packed(x, packed, y, plans, weights, epilogues):
    """y = the second of `packed` times what the first, by windows of x, come to.

    `plans` are the depthwise.Plan and this module's; packed weights and epilogues come
    in pairs, and `weights` is the WeightLayout of the first.
    """
    first, own = plans
    run = _turned if own.turns else _pointwise
    x, y = x.reshape(-1), y.reshape(-1)
    work = workspace(x.dtype, own.parts * own.size)
    packed = (w.reshape(-1) for w in packed)
    run.on(own.parts)(x, *packed, y, first, own, weights, *epilogues, work)


@kernel
def _between(x, w, first, weights, epilogue, n, line, count, step, out, out_at):
    """`count` lines from `line` on of image n, of all channels, which lie `step` apart."""
    depthwise_lines(
        first.kernel_size, first.stride, first.group, count, first.columns,
        w, weights.start, weights.group_step, weights.position_step,
        x, n * first.group * first.height * first.width, first.height, first.width,
        line * first.stride - first.pad_h, -first.pad_w, 1, 1,
        epilogue, 0, out, out_at, step, first.columns,
    )  # fmt: skip


@kernel(parallel=True)
def _turned(x, w, packed, y, first, plan, weights, first_epilogue, epilogue, work, share):
    """A share of the blocks, where lanes are outputs: pixels are read where they lie."""
    inputs, outputs, lines, blocks = first.group, plan.outputs, first.lines, plan.blocks
    pixels, panel, work_at = lines * first.columns, TILE_VECTORS * lanes(x), share[0] * plan.size
    for item in prange(plan.batch * blocks, share):
        n, first_line = item // blocks, _line(item, lines, blocks)
        line, count = first_line - n * lines, _line(item + 1, lines, blocks) - first_line
        _between(x, w, first, weights, first_epilogue, n, line, count, plan.step, work, work_at)
        size = count * first.columns
        tiles = -(-size // TILE_ROWS)
        near = -(-panel // tiles)  # of the next panel's weights, that each tile has come near
        for p in range(plan.panels):
            channel = p * panel
            for t in range(tiles):
                pixel = t * size // tiles
                rows = (t + 1) * size // tiles - pixel
                at = (n * outputs + channel) * pixels + line * first.columns + pixel
                turned_tile(
                    1, rows, inputs, work, work_at + pixel, plan.step,
                    packed, p * inputs * panel, inputs * (panel + t * near), near,
                    epilogue, channel, y, at, False, y, at, pixels, min(panel, outputs - channel),
                )  # fmt: skip


@kernel(parallel=True)
def _pointwise(x, w, packed, y, first, plan, weights, first_epilogue, epilogue, work, share):
    """A share of the blocks, where lanes are pixels, which are packed in panels."""
    inputs, outputs, lines, blocks = first.group, plan.outputs, first.lines, plan.blocks
    pixels, vector, work_at = lines * first.columns, lanes(x), share[0] * plan.size
    panel, tiles = TILE_VECTORS * vector, -(-outputs // TILE_ROWS)
    panels_at = work_at + inputs * plan.step + panel
    for item in prange(plan.batch * blocks, share):
        n, first_line = item // blocks, _line(item, lines, blocks)
        line, count = first_line - n * lines, _line(item + 1, lines, blocks) - first_line
        _between(x, w, first, weights, first_epilogue, n, line, count, plan.step, work, work_at)
        size = count * first.columns
        for p in range(0, size, panel):
            some = min(panel, size - p)
            vectors = 1 if some <= vector else TILE_VECTORS
            copy_panel(
                vectors, inputs, work, work_at + p, plan.step,
                work, panels_at + p * inputs, vectors * vector, some,
            )  # fmt: skip
        for t in range(tiles):
            row, rows = t * outputs // tiles, (t + 1) * outputs // tiles - t * outputs // tiles
            for p in range(0, size, panel):
                some = min(panel, size - p)
                at = (n * outputs + row) * pixels + line * first.columns + p
                panel_tile(
                    1 if some <= vector else TILE_VECTORS, rows, inputs, packed, row * inputs,
                    work, panels_at + p * inputs, epilogue, row, y, at, False, y, at, pixels, some,
                )  # fmt: skip
