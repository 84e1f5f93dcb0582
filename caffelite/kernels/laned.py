"""Direct convolution whose outputs are laned, for `separable` to go on with.

As many of them lie side by side as a vector has lanes: an image of y is (C / lanes, H, W, lanes).
Register tiles read the pixels of windows in place, see `_band`.
"""

from typing import NamedTuple

import numpy as np

from . import direct, turned
from ._band import band_of, copy_band
from ._jit import kernel, prange
from ._lines import blocks_of, first_line_of
from ._simd import lanes
from ._tiles import TILE_ROWS, TILE_VECTORS
from ._turned_tiles import laned_window_tile
from ._vectors import BROADCASTS
from ._workspace import workspace

pack = turned.pack


class Plan(NamedTuple):
    """`parts` threads share `blocks` of lines of each image."""

    batch: int
    inputs: int
    outputs: int
    group: int
    height: int  # of y
    width: int
    blocks: int
    plane: int  # of a copied band
    step: int  # there, from line to line of y
    parts: int
    size: int  # elements of work space for each part
    layout: np.ndarray
    offsets: np.ndarray


def plan(problem, usual):
    """The blocks for a problem of two axes, or None where this does not fit, or does not pay.

    It does where what is `usual`, of planes, is to go directly, too.
    """
    if not isinstance(usual, direct.Plan) or problem.group > 1 or problem.outputs % problem.lanes:
        return None
    if not pays(problem):
        return None
    height, width = problem.out
    threads = problem.usable_threads
    blocks = blocks_of(height, usual.lines, problem.batch, threads)
    band = band_of(problem, problem.inputs, 1, -(-height // blocks))
    lines = band.base.reshape(-1, width)[:2, 0]
    return Plan(
        problem.batch, problem.inputs, problem.outputs, 1, height, width, blocks,
        band.plane, int(lines[-1] - lines[0]), threads,
        problem.inputs * band.plane, band.layout, band.offsets,
    )  # fmt: skip


def pays(problem):
    """Whether lanes that are outputs are as fast as those that are pixels."""
    return BROADCASTS and turned.fills_panels(problem.outputs, problem.lanes)


def multiply_packed(x, packed, y, plan, epilogue):
    """y = weights, which `pack` has packed, times windows of x, and an epilogue."""
    work = workspace(x.dtype, plan.parts * plan.size)
    _multiply.on(plan.parts)(x.reshape(-1), packed, y.reshape(-1), plan, epilogue, work)


@kernel(parallel=True)
def _multiply(x, packed, y, plan, epilogue, work, share):
    """A share of the blocks."""
    height, width, blocks, outputs = plan.height, plan.width, plan.blocks, plan.outputs
    layout, depth, panel = plan.layout, len(plan.offsets), TILE_VECTORS * lanes(x)
    pixels, tiles = height * width, -(-width // TILE_ROWS)
    x_image, work_at = plan.inputs * layout[0] * layout[1], share[0] * plan.size
    for item in prange(plan.batch * blocks, share):
        n, first = item // blocks, first_line_of(item, height, blocks)
        count = first_line_of(item + 1, height, blocks) - first
        line = first - n * height
        copy_band(x, n * x_image, layout, plan.inputs, line, work, work_at)
        for channel in range(0, outputs, panel):
            for i in range(count):
                for t in range(tiles):
                    column = t * width // tiles
                    rows = (t + 1) * width // tiles - column
                    pixel = (line + i) * width + column
                    laned_window_tile(
                        rows, depth, work, work_at + i * plan.step + column, plan.offsets, 0,
                        packed, channel * depth, epilogue, channel,
                        y, (n * outputs + channel) * pixels + pixel * lanes(x), pixels * lanes(x),
                        min(panel, outputs - channel),
                    )  # fmt: skip
