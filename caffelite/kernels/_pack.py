"""Weights packed for register tiles: up to TILE_ROWS outputs beside each other, depth first."""

import itertools
from typing import NamedTuple

from ._jit import kernel, prange
from ._panel_tiles import copy_panel
from ._simd import copy, lanes
from ._tiles import TILE_ROWS, TILE_VECTORS, transpose
from ._workspace import aligned


class WeightLayout(NamedTuple):
    """Where in an array the weight of a group, output, input and kernel position lies.

    `start` is where the first one is, the steps are elements from one to the next. At a negative
    `position_step` positions run backward: weights are read transposed, with inputs and outputs
    swapped, for the gradient to the input.
    """

    start: int
    group_step: int
    output_step: int
    input_step: int
    position_step: int
    inputs: int
    positions: int


def layout_of(problem):
    """Of weights (group * outputs, inputs, *kernel)."""
    depth, positions = problem.depth, problem.positions
    return WeightLayout(0, problem.outputs * depth, depth, positions, 1, problem.inputs, positions)


def transposed_layout(problem):
    """Of the same weights, read for `problem.transposed()`."""
    depth, positions = problem.depth, problem.positions
    return WeightLayout(
        positions - 1, problem.outputs * depth, positions, depth, -1, problem.outputs, positions
    )


@kernel
def pack_tile(w, layout, outputs, item, out, out_at):
    """Pack the `item`-th tile of weights; tiles of a group follow each other, then groups.

    `out_at` is where the first tile of all lies.
    """
    depth = layout.inputs * layout.positions
    row_step, input_step, position_step = (
        layout.output_step,
        layout.input_step,
        layout.position_step,
    )
    tiles = -(-outputs // TILE_ROWS)
    g, t = item // tiles, item % tiles
    first, last = t * outputs // tiles, (t + 1) * outputs // tiles
    rows = last - first
    start = layout.start + g * layout.group_step + first * row_step
    target = out_at + (g * outputs + first) * depth
    square, done = lanes(out), 0
    dense = position_step == 1 and input_step == layout.positions
    if dense and start + (rows + square) * row_step <= len(w):
        # Squares reach past the tile's last row, so each row of `out` is written after the one
        # before it, from the right; the end is left for below.
        done = max(depth - square, 0) // square * square
        for k in range(0, done, square):
            for r in range((rows - 1) // square * square, -1, -square):
                transpose(w, start + r * row_step + k, row_step, out, target + k * rows + r, rows)
    elif row_step == 1 and layout.positions == 1:
        # Whole vectors where there is room: what is too much, the row after it overwrites.
        wide = -(-rows // square) * square
        room = min((depth * rows - wide) // rows, (len(w) - wide - start) // input_step) + 1
        done = max(0, min(room, depth))
        panel = TILE_VECTORS * square
        for j in range((wide - 1) // panel * panel, -1, -panel):  # from the right, as above
            width = min(panel, wide - j)
            copy_panel(
                width // square, done, w, start + j, input_step, out, target + j, rows, width
            )  # fmt: skip
    for k in range(done, depth):
        position = k % layout.positions
        source = start + k // layout.positions * input_step + position * position_step
        copy(rows, w, source, row_step, out, target + k * rows, 1)


@kernel(parallel=True)
def pack_weights(w, layout, group, outputs, out, share):
    """Pack all tiles of weights at the start of `out`; a part that is alone does so itself."""
    for item in prange(group * -(-outputs // TILE_ROWS), share):
        pack_tile(w, layout, outputs, item, out, 0)


def unpack_tiles(packed, plan, w):
    """Weights (group * outputs, inputs, *kernel) as they were before `pack_tiles`."""
    rows, tiles = w.reshape(plan.group * plan.outputs, -1), -(-plan.outputs // TILE_ROWS)
    for first in range(0, len(rows), plan.outputs):
        ends = [first + t * plan.outputs // tiles for t in range(tiles + 1)]
        for begin, end in itertools.pairwise(ends):
            own = packed[begin * rows.shape[1] : end * rows.shape[1]]
            rows[begin:end] = own.reshape(-1, end - begin).T


def pack_tiles(w, plan, layout):
    """All tiles of weights, packed, for a plan of `group` groups of `outputs` outputs."""
    packed = aligned(w.dtype, w.size)
    pack_weights(w.reshape(-1), layout, plan.group, plan.outputs, packed)
    return packed
