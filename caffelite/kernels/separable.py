"""A convolution of each channel by itself, then one of 1 by 1 kernels, block of lines by block.

What is between them is as large as x, or larger. Of a block, it is computed into memory of the
thread that goes on with it, so that it never leaves the caches of a core: no other core reads it,
and nobody has to take it back from there for the next pass.
"""

from functools import lru_cache
from typing import NamedTuple

from . import depthwise, pointwise, turned
from ._depthwise_tiles import depthwise_lines
from ._jit import kernel, prange, thread_count
from ._laned_windows import laned_windows
from ._lines import UNEVEN, blocks_of, cut, first_line_of, unevenness
from ._pack import pack_tiles
from ._panel_tiles import copy_panel, panel_tile
from ._simd import lanes, variant
from ._tiles import TILE_ROWS, TILE_VECTORS
from ._turned_tiles import LANED_X, LANED_Y, laned_tile
from ._vectors import BROADCASTS, VECTOR_BYTES
from ._workspace import aligned, workspace

BLOCK_BYTES = 1 << 19
"""Aim for the size of what is between, packed or not: it should stay in an L2 cache."""
UNUSED = 0.1
"""Share of lanes without a pixel from which on lanes are outputs, if they can be."""
MANY_OUTPUTS = 256
"""Outputs from which on they are, however few are unused: panels of pixels would go by their
weights too often."""


class Plan(NamedTuple):
    """`parts` threads share `blocks` of lines of each image, and `groups` of panels of outputs."""

    outputs: int
    batch: int
    blocks: int
    groups: int
    turns: int  # whether lanes of vectors are outputs, not pixels
    laned: int  # LANED_X and LANED_Y, see `_turned_tiles`, where x and y are
    panels: int  # of outputs, if it turns
    step: int  # from channel to channel of what is between, or from set to set where x is laned
    parts: int
    size: int  # elements of work space for each part


def plan(first, then, batch, itemsize, laned=0):
    """The blocks for a depthwise.Plan and that of 1 by 1 kernels after it; None if it cannot pay.

    That is where windows are spread, more than one output sees a channel, the second has groups or
    strides, or lines are too few to be shared out. What is `laned` must have whole vectors of
    channels, and see `lanes_pay`.
    """
    if not (isinstance(first, depthwise.Plan) and isinstance(then, (turned.Plan, pointwise.Plan))):
        return None
    lines, columns = first.lines, first.columns
    seen = then.pixels if isinstance(then, pointwise.Plan) else then.lines * then.width
    strides = seen != lines * columns
    if first.outputs > 1 or (first.gap_h, first.gap_w) != (1, 1) or then.group > 1 or strides:
        return None
    vector = VECTOR_BYTES // itemsize
    if (laned & LANED_X and first.group % vector) or (laned & LANED_Y and then.outputs % vector):
        return None
    if laned and not lanes_pay(first, then, vector, laned):
        return None
    threads = thread_count(batch * lines * columns * first.group * then.outputs)
    return _plan(first, then, batch, itemsize, laned, threads, BLOCK_BYTES)


def lanes_pay(first, then, vector, laned):
    """Whether lanes that are outputs lose nothing where so much is `laned`.

    They lose where panels are not full of outputs, where sums of few products are turned, and
    without AVX; but nowhere where pixels would leave lanes unused.
    """
    pixels = first.lines * first.columns
    if -pixels % vector > UNUSED * pixels:
        return True
    turns_few = laned == LANED_X and first.group < turned.MIN_DEPTH
    return BROADCASTS and turned.fills_panels(then.outputs, vector) and not turns_few


@lru_cache(maxsize=256)
def _plan(first, then, batch, itemsize, laned, threads, block_bytes):
    channels, lines, columns = first.group, first.lines, first.columns
    vector = VECTOR_BYTES // itemsize
    panel, most = TILE_VECTORS * vector, block_bytes // (channels * columns * itemsize)
    panels = -(-then.outputs // panel)
    blocks, groups = blocks_of(lines, most // 2, batch, threads), 1
    pixels = -(-lines // blocks) * columns
    waste = -pixels % vector > UNUSED * pixels
    able = isinstance(then, turned.Plan) and (waste or then.outputs >= MANY_OUTPUTS)
    turns = bool(laned or able)
    work = first.kernel_size**2, then.outputs
    if turns:
        found = cut(lines, most, batch, threads, panels, work)
        if found is None:
            return None
        blocks, groups = found
        pixels = -(-lines // blocks) * columns
    elif unevenness(lines, blocks, batch, threads, groups, panels, work) > UNEVEN:
        return None
    if laned & LANED_X:
        # what a tile reads of one set and the next is spread over the sets of a cache
        step = (pixels | 15) * vector
        size = channels // vector * step
    else:
        step = (-(-pixels // vector) | 1) * vector  # for the same reason
        size = channels * step
    size += panel
    if not turns:
        size += -(-pixels // panel) * channels * panel
    return Plan(then.outputs, batch, blocks, groups, int(turns), laned, panels, step, threads, size)


def pack_windows(w, plan, layout):
    """Weights of laned x: (sets of channels, positions of the window, lanes)."""
    by_channel = w.reshape(plan.group, -1)
    by_set = by_channel.reshape(-1, VECTOR_BYTES // w.itemsize, by_channel.shape[1])
    packed = aligned(w.dtype, w.size)
    packed.reshape(by_set.transpose(0, 2, 1).shape)[...] = by_set.transpose(0, 2, 1)
    return packed


def packs(plan):
    """The functions that pack the weights of both, for a Plan."""
    first = pack_windows if plan.laned & LANED_X else depthwise.pack
    return first, turned.pack if plan.turns else pack_tiles


def multiply_packed(x, packed, y, plans, weights, epilogues):
    """y = the second of `packed` times what the first, by windows of x, come to.

    `plans` are the depthwise.Plan and this module's; packed weights and epilogues come
    in pairs, and `weights` is the WeightLayout of the first.
    """
    first, own = plans
    x, y = x.reshape(-1), y.reshape(-1)
    work = workspace(x.dtype, own.parts * own.size)
    given = x, *(w.reshape(-1) for w in packed), y, first, own, weights, *epilogues, work
    if own.turns:
        size = first.kernel_size
        windows = variant("laned_windows", size, x.dtype) if own.laned & LANED_X else 0
        _turned.on(own.parts)(windows, variant("laned_tile", own.laned, x.dtype), *given)
    else:
        _pointwise.on(own.parts)(*given)


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
def _turned(
    windows, tile, x, w, packed, y, first, plan, weights, first_epilogue, epilogue, work, share
):
    """A share of the (block, group), where lanes are outputs: pixels are read where they lie.

    `windows` and `tile` are the variants of `laned_windows` and `laned_tile` for what is laned.
    """
    inputs, outputs, lines, blocks = first.group, plan.outputs, first.lines, plan.blocks
    pixels, panel, work_at = lines * first.columns, TILE_VECTORS * lanes(x), share[0] * plan.size
    x_wide = lanes(x) if plan.laned & LANED_X else 1
    y_wide = lanes(x) if plan.laned & LANED_Y else 1
    known = -1
    for turn in prange(plan.batch * blocks * plan.groups, share):
        item, group = turn // plan.groups, turn % plan.groups
        n, first_line = item // blocks, first_line_of(item, lines, blocks)
        line, count = first_line - n * lines, first_line_of(item + 1, lines, blocks) - first_line
        if item != known and x_wide == 1:
            _between(x, w, first, weights, first_epilogue, n, line, count, plan.step, work, work_at)
        elif item != known:
            laned_windows(
                windows, first.stride, inputs // x_wide, count, first.columns, w, 0,
                x, n * inputs * first.height * first.width, first.height, first.width,
                line * first.stride - first.pad_h, -first.pad_w,
                first_epilogue, 0, work, work_at, plan.step,
            )  # fmt: skip
        known = item
        size = count * first.columns
        tiles = -(-size // TILE_ROWS)
        near = -(-panel // tiles)  # of the next panel's weights, that each tile has come near
        begin = group * plan.panels // plan.groups
        for p in range(begin, (group + 1) * plan.panels // plan.groups):
            channel = p * panel
            for t in range(tiles):
                pixel = t * size // tiles
                rows = (t + 1) * size // tiles - pixel
                at = (n * outputs + channel) * pixels + (line * first.columns + pixel) * y_wide
                laned_tile(
                    tile, rows, inputs, work, work_at + pixel * x_wide, plan.step,
                    packed, p * inputs * panel, inputs * (panel + t * near), near,
                    epilogue, channel, y, at, pixels * y_wide, min(panel, outputs - channel),
                )  # fmt: skip


@kernel(parallel=True)
def _pointwise(x, w, packed, y, first, plan, weights, first_epilogue, epilogue, work, share):
    """A share of the blocks, where lanes are pixels, which are packed in panels."""
    inputs, outputs, lines, blocks = first.group, plan.outputs, first.lines, plan.blocks
    pixels, vector, work_at = lines * first.columns, lanes(x), share[0] * plan.size
    panel, tiles = TILE_VECTORS * vector, -(-outputs // TILE_ROWS)
    panels_at = work_at + inputs * plan.step + panel
    for item in prange(plan.batch * blocks, share):
        n, first_line = item // blocks, first_line_of(item, lines, blocks)
        line, count = first_line - n * lines, first_line_of(item + 1, lines, blocks) - first_line
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
