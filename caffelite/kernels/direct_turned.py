"""Direct convolution where lanes of vectors are outputs, and pixels are rows; see `turned`.

Register tiles read the pixels of windows where they lie, see `_band`, any number of them, across
lines. What they store may be laned, for `separable` to go on with: then as many channels lie side
by side as a vector has lanes, and an image of y is (C / lanes, H, W, lanes).
"""

from typing import NamedTuple

import numpy as np

from . import turned
from ._band import band_of, copy_band
from ._jit import kernel, prange
from ._lines import blocks_of, cut, first_line_of
from ._problem import in_one_row
from ._simd import lanes, variant
from ._tiles import TILE_ROWS, TILE_VECTORS
from ._turned_tiles import ACROSS_LINES, window_tile
from ._vectors import BROADCASTS
from ._workspace import workspace
from .direct import band_lines

MIN_DEPTH = 300
"""Products of a value from which on this pays: then turning the sums is little of the work."""
MIN_RUN = 3
"""Pixels that tiles can share from which on it does."""

pack = turned.pack


class Plan(NamedTuple):
    """`parts` threads share `blocks` of lines of each image, and `groups` of panels of outputs."""

    batch: int
    inputs: int
    outputs: int
    group: int  # one
    height: int  # of y
    width: int
    blocks: int
    groups: int
    panels: int  # of outputs
    laned: int  # LANED_Y, see `_turned_tiles`, where y is
    plane: int  # of a copied band
    parts: int
    size: int  # elements of work space for each part
    layout: np.ndarray
    bases: np.ndarray
    offsets: np.ndarray

    way = "turned"
    adds = False
    strided = True


def fits(problem):
    """Whether a problem of two axes, whose weights are kept, is one that this way computes."""
    return problem is not None and problem.kept and problem.group == 1


def pays(problem):
    """Whether one that fits gains over `direct`, and over windows as matrices."""
    run = problem.pixels if ACROSS_LINES else problem.out[1]
    return problem.depth >= MIN_DEPTH and run >= MIN_RUN and lanes_pay(problem)


def lanes_pay(problem):
    """Whether lanes that are outputs are as fast as pixels, but for what it takes to turn sums."""
    return BROADCASTS and turned.fills_panels(problem.outputs, problem.lanes)


def plan(problem, laned=0):
    """The blocks for a problem that `fits`."""
    *_, lines = band_lines(problem)
    height, width = problem.out
    threads, panel = problem.usable_threads, TILE_VECTORS * problem.lanes
    panels = -(-problem.outputs // panel)
    work = problem.inputs, problem.outputs * problem.positions
    found = cut(height, lines, problem.batch, threads, panels, work)
    most = blocks_of(height, lines, problem.batch, threads), min(panels, threads)
    blocks, groups = found or most
    band = band_of(problem, problem.inputs, 1, -(-height // blocks))
    return Plan(
        problem.batch, problem.inputs, problem.outputs, 1, height, width, blocks, groups, panels,
        laned, band.plane, threads, problem.inputs * band.plane,
        band.layout, band.base, band.offsets,
    )  # fmt: skip


def multiply_packed(x, packed, y, plan, weights, epilogue):
    """y = weights, which `pack` has packed, times windows of x, and an epilogue."""
    work = workspace(x.dtype, plan.parts * plan.size)
    tile, (y, y_step) = variant("window_tile", plan.laned, x.dtype), in_one_row(y)
    _multiply.on(plan.parts)(tile, x.reshape(-1), packed, y, y_step, plan, epilogue, work)


@kernel(parallel=True)
def _multiply(tile, x, packed, y, y_step, plan, epilogue, work, share):
    """A share of the (block, group)."""
    height, width, blocks, outputs = plan.height, plan.width, plan.blocks, plan.outputs
    layout, depth, panel = plan.layout, len(plan.offsets), TILE_VECTORS * lanes(x)
    pixels, wide = height * width, lanes(x) if plan.laned else 1
    x_image, work_at, known = plan.inputs * layout[0] * layout[1], share[0] * plan.size, -1
    for turn in prange(plan.batch * blocks * plan.groups, share):
        item, group = turn // plan.groups, turn % plan.groups
        n, first = item // blocks, first_line_of(item, height, blocks)
        line = first - n * height
        size = (first_line_of(item + 1, height, blocks) - first) * width
        if item != known:
            copy_band(x, n * x_image, layout, plan.inputs, line, work, work_at)
            known = item
        run = size if ACROSS_LINES else width  # pixels that tiles share
        tiles = -(-run // TILE_ROWS)
        near = -(-panel // (tiles * (size // run)))  # of the next panel's weights, for each tile
        begin = group * plan.panels // plan.groups
        for p in range(begin, (group + 1) * plan.panels // plan.groups):
            channel = p * panel
            for t in range(size // run * tiles):
                pixel = t // tiles * run + t % tiles * run // tiles
                rows = t // tiles * run + (t % tiles + 1) * run // tiles - pixel
                at = n * y_step + channel * pixels + (line * width + pixel) * wide
                window_tile(
                    tile, rows, depth, work, work_at, plan.bases, pixel, plan.offsets, 0,
                    packed, channel * depth, depth * (panel + t * near), near, epilogue, channel,
                    y, at, pixels * wide, min(panel, outputs - channel),
                )  # fmt: skip
