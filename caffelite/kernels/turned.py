"""Convolution with 1 by 1 kernels where lanes of vectors are outputs, and pixels are rows.

Register tiles read pixels where they lie, any number of them, and meet weights whose outputs lie
beside each other; they store what they hold turned. Elsewhere lanes are pixels, and those of a
map whose size is not in whole vectors stay unused. Weights take long to pack for this, so they are
to be kept.
"""

import math
from typing import NamedTuple

from ._jit import kernel, prange
from ._problem import in_one_row
from ._tiles import TILE_ROWS, TILE_VECTORS
from ._turned_tiles import TURNED_STEPS, turned_tile
from ._vectors import VECTOR_BYTES
from ._workspace import aligned

MIN_ROWS = 12
"""Rows of register tiles below which lines of x are read for a few of their pixels. Then this pays
only where maps are so small that, elsewhere, many lanes had none."""
UNUSED = 0.1
"""Share of such lanes from which on it does."""
WASTE = 0.15
"""Share of lanes without an output up to which this is faster."""
MIN_DEPTH = 96
"""Fewer inputs than this do not pay for turning the sums."""
BLOCK_BYTES = 3 << 17
"""Aim for the size of a block of pixels that meets all weights: it should stay in an L2 cache."""
SMALL_INPUT = 3 << 19
"""Bytes of x up to which each panel of weights meets all of it, and is read but once."""


def fits(plane):
    """Whether a problem, in the form of `Problem.plane`, is one that this way computes."""
    if plane is None or not plane.kept:
        return False
    small = plane.kernel == (1, 1) and plane.pad == (0, 0)
    return small and plane.stride[1] in TURNED_STEPS


def pays(plane):
    """Whether one that fits gains."""
    pixels = plane.batch * plane.pixels
    if TILE_ROWS < MIN_ROWS and -pixels % plane.lanes <= UNUSED * pixels:
        return False
    return plane.inputs >= MIN_DEPTH and fills_panels(plane.outputs, plane.lanes)


def fills_panels(outputs, lanes):
    """Whether few lanes of panels are without an output."""
    panel = TILE_VECTORS * lanes
    return 1 - outputs / (-(-outputs // panel) * panel) < WASTE


class Plan(NamedTuple):
    """`parts` threads share the tiles of pixels; a block of tiles meets all panels of outputs."""

    inputs: int
    outputs: int
    group: int
    tiles: int  # of pixels: `across` in a line
    across: int
    block: int
    panels: int
    parts: int
    lines: int  # of an image of y
    width: int
    plane: int  # of x
    line_step: int
    step: int

    way = "turned"
    adds = True  # something else, before the activation
    strided = True  # whether images of y may lie apart


def plan(problem):
    """The blocks for a problem of two axes that `fits`."""
    batch, inputs, outputs, group, size, out = problem[:6]
    if problem.stride == (1, 1):
        # pixels without neighbours, in one line
        size, out = ((1, problem.pixels),) * 2
    across = -(-out[1] // TILE_ROWS)
    tiles = batch * out[0] * across
    panels = -(-outputs // (TILE_VECTORS * problem.lanes))
    block = tiles
    if batch * inputs * problem.pixels * problem.itemsize > SMALL_INPUT:
        block = max(1, BLOCK_BYTES // (inputs * TILE_ROWS * problem.itemsize))
    return Plan(
        inputs, outputs, group, tiles, across, block, panels,
        min(problem.usable_threads, tiles * group * panels), *out,
        size[0] * size[1], size[1] * problem.stride[0], problem.stride[1],
    )  # fmt: skip


def pack(w, plan, layout):
    """Weights by group, panel of outputs, depth, output; outputs that are none weigh 0.

    Any plan will do that says how many groups and outputs there are.
    """
    panel = TILE_VECTORS * VECTOR_BYTES // w.itemsize
    depth = w.size // (plan.group * plan.outputs)
    shape = plan.group, -(-plan.outputs // panel), depth, panel
    packed = aligned(w.dtype, math.prod(shape))
    whole = packed.reshape(shape)
    for panels, rows in zip(whole, w.reshape(plan.group, plan.outputs, -1), strict=True):
        for at, each in zip(range(0, plan.outputs, panel), panels, strict=True):
            some = rows[at : at + panel].T
            each[:, : some.shape[1]] = some
            each[:, some.shape[1] :] = 0
    return packed


def unpack(packed, plan, w):
    """Weights as they were before `pack`."""
    panel = TILE_VECTORS * VECTOR_BYTES // w.itemsize
    depth = w.size // (plan.group * plan.outputs)
    whole = packed.reshape(plan.group, -1, depth, panel)
    for panels, rows in zip(whole, w.reshape(plan.group, plan.outputs, -1), strict=True):
        every = panels.transpose(0, 2, 1).reshape(-1, depth)
        rows[...] = every[: plan.outputs]


def multiply_packed(x, packed, y, plan, weights, epilogue, addend=None):
    """y = weights, which `pack` has packed, times x, and an epilogue; see `pointwise`."""
    x, (y, y_step) = x.reshape(-1), in_one_row(y)
    adds = addend is not None
    term = addend.reshape(-1) if adds else y
    _multiply.on(plan.parts)(x, packed, y, y_step, plan, epilogue, term, adds)


@kernel(parallel=True)
def _multiply(x, packed, y, y_step, plan, epilogue, addend, adds, share):
    """A share of the tiles of (block of tiles, group, panel)."""
    inputs, outputs, group, panels = plan.inputs, plan.outputs, plan.group, plan.panels
    pixels, panel = plan.lines * plan.width, len(packed) // (group * panels * inputs)
    whole = plan.block * group * panels
    count = plan.tiles * group * panels
    for index in prange(count, share):
        block, rest = index // whole * plan.block, index % whole
        tiles = min(plan.block, plan.tiles - block)  # of this block
        tile, p, g = block + rest % tiles, rest // tiles % panels, rest // (tiles * panels)
        line, t = tile // plan.across, tile % plan.across
        n, i = line // plan.lines, line % plan.lines
        first = t * plan.width // plan.across
        rows = (t + 1) * plan.width // plan.across - first
        channel = g * outputs + p * panel
        at = n * y_step + channel * pixels + i * plan.width + first
        share = -(-panel // tiles)  # of the next panel's weights, that each tile has come near
        turned_tile(
            plan.step, rows, inputs,
            x, (n * group + g) * inputs * plan.plane + i * plan.line_step + first * plan.step,
            plan.plane, packed, (g * panels + p) * inputs * panel,
            inputs * (panel + rest % tiles * share), share, epilogue, channel,
            addend, at, adds, y, at, pixels, min(panel, outputs - p * panel),
        )  # fmt: skip
