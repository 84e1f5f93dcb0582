"""Convolution with 1 by 1 kernels: a matrix product for each pixel.

Pixels of all images are one long row of columns. A panel of them is packed, so that register tiles
read it as it lies, and meets one tile of outputs after the other. Forward, and with transposed
weights the gradient to the input; that to the weights is in `direct_weight`.
"""

from typing import NamedTuple

from ._jit import kernel
from ._pack import pack_weights
from ._panel_tiles import copy_panel, panel_tile
from ._problem import in_one_row
from ._simd import copy, lanes
from ._tiles import TILE_ROWS, TILE_VECTORS
from ._workspace import workspace

FEW_PANELS = 8
"""Panels for each thread below which threads share the outputs, too: each packs more panels then,
but reads fewer weights."""
BLOCK_BYTES = 1 << 16
"""Aim for the size of panels that a tile of outputs meets one after the other, which writes longer
runs of y: with few inputs, that takes longer than the products."""
ENOUGH_TILES = 4
"""Tiles of outputs for each share of them, at least."""


def fits(plane):
    """Whether a problem, in the form of `Problem.plane`, is one that this way computes."""
    if plane is None or plane.size != plane.out:
        return False
    return plane.kernel == plane.stride == (1, 1) and plane.pad == (0, 0)


class Plan(NamedTuple):
    """`row_parts` shares of the outputs, and `parts` / `row_parts` of the panels, one for each."""

    batch: int
    inputs: int
    outputs: int
    group: int
    pixels: int  # of an image
    panels: int
    blocks: int  # of panels
    row_parts: int
    parts: int
    packed: int  # elements for packed weights
    size: int  # elements of work space for each part

    way = "pointwise"
    adds = True  # something else, before the activation
    strided = True  # whether images of y may lie apart


def plan(problem):
    """The panels for a problem of two axes that `fits`."""
    panel = TILE_VECTORS * problem.lanes
    panels = -(-problem.batch * problem.pixels // panel)
    tiles = -(-problem.outputs // TILE_ROWS)
    threads = min(problem.usable_threads, panels * problem.group * tiles)
    row_parts = 1
    if panels * problem.group < FEW_PANELS * threads:
        few = range(1, threads + 1)
        row_parts = max(
            n for n in few if threads % n == 0 and (n == 1 or tiles >= ENOUGH_TILES * n)
        )
    own = problem.inputs * panel
    block = max(1, BLOCK_BYTES // (own * problem.itemsize))
    blocks = -(-panels // min(block, -(-panels // threads)))
    size = -(-panels // blocks) * own + TILE_ROWS * panel
    return Plan(
        problem.batch, problem.inputs, problem.outputs, problem.group, problem.pixels,
        panels, blocks, row_parts, threads, problem.weights, size,
    )  # fmt: skip


def multiply(x, w, y, plan, weights, epilogue, addend=None):
    """y = weights times x, and an epilogue; `weights` is the WeightLayout of w.

    An `addend`, which may be y, is added before the activation.
    """
    work = workspace(x.dtype, plan.packed + plan.parts * plan.size)
    packed, work = work[: plan.packed], work[plan.packed :]
    pack_weights.on(plan.parts)(w.reshape(-1), weights, plan.group, plan.outputs, packed)
    _multiply_by(packed, x, y, plan, epilogue, addend, work)


def multiply_packed(x, packed, y, plan, weights, epilogue, addend=None):
    """`multiply` by weights that are packed; adds `addend`, if any, before the activation."""
    work = workspace(x.dtype, plan.parts * plan.size)
    _multiply_by(packed, x, y, plan, epilogue, addend, work)


def _multiply_by(packed, x, y, plan, epilogue, addend, work):
    x, (y, y_step) = x.reshape(-1), in_one_row(y)
    adds = addend is not None
    term = addend.reshape(-1) if adds else y
    _multiply.on(plan.parts)(x, packed, y, y_step, plan, epilogue, term, adds, work)


@kernel
def _pack_panel(x, plan, g, first, count, width, out, out_at):
    """Copy pixels first <= j < first + count, of all inputs: input by `width` columns."""
    pixels, done = plan.pixels, 0
    while done < count:
        n, pixel = (first + done) // pixels, (first + done) % pixels
        at, to = (n * plan.group + g) * plan.inputs * pixels + pixel, out_at + done
        run = min(count - done, pixels - pixel)
        vectors = 1 if run <= lanes(x) else TILE_VECTORS
        copy_panel(vectors, plan.inputs, x, at, pixels, out, to, width, run)
        done += run


@kernel
def _stage(plan, first, count, channel, rows, work, work_at, y, y_step, back):
    """Copy pixels first <= j < first + count of `rows` channels of y to `work`, or `back`."""
    pixels, panel = plan.pixels, TILE_VECTORS * lanes(y)
    done = 0
    while done < count:
        image, at = (first + done) // pixels, (first + done) % pixels
        run = min(count - done, pixels - at)
        for r in range(rows):
            here = work_at + r * panel + done
            there = image * y_step + (channel + r) * pixels + at
            if back:
                copy(run, work, here, 1, y, there, 1)
            else:
                copy(run, y, there, 1, work, here, 1)
        done += run


@kernel(parallel=True)
def _multiply(x, packed, y, y_step, plan, epilogue, addend, adds, work, share):
    """A share of the tiles of (share of outputs, group, block of panels)."""
    part, parts = share
    inputs, outputs, group = plan.inputs, plan.outputs, plan.group
    pixels, vector = plan.pixels, lanes(x)
    panel, columns = TILE_VECTORS * vector, plan.batch * pixels
    tiles = -(-outputs // TILE_ROWS)
    row_part, column_parts = part % plan.row_parts, parts // plan.row_parts
    t0 = row_part * tiles // plan.row_parts
    t1 = (row_part + 1) * tiles // plan.row_parts
    blocks = plan.blocks
    own = blocks * group * (t1 - t0)
    begin = part // plan.row_parts * own // column_parts
    end = (part // plan.row_parts + 1) * own // column_parts
    staging_at = part * plan.size
    panels_at = staging_at + TILE_ROWS * panel
    index = begin
    while index < end:
        item = index // (t1 - t0)
        g, b = item // blocks, item % blocks
        block = b * plan.panels // blocks
        some = (b + 1) * plan.panels // blocks - block
        until = min(end, (item + 1) * (t1 - t0))
        for p in range(some):
            first = (block + p) * panel
            count = min(panel, columns - first)
            width = vector if count <= vector else panel
            panel_at = panels_at + p * inputs * panel
            _pack_panel(x, plan, g, first, count, width, work, panel_at)
        for t in range(t0 + index - item * (t1 - t0), t0 + until - item * (t1 - t0)):
            row, rows = t * outputs // tiles, (t + 1) * outputs // tiles - t * outputs // tiles
            channel = g * outputs + row
            for p in range(some):
                first, panel_at = (block + p) * panel, panels_at + p * inputs * panel
                count = min(panel, columns - first)
                vectors = 1 if count <= vector else TILE_VECTORS
                n, pixel = first // pixels, first % pixels
                if pixel + count <= pixels:
                    at = n * y_step + channel * pixels + pixel
                    panel_tile(
                        vectors, rows, inputs, packed, channel * inputs, work, panel_at,
                        epilogue, channel, addend, at, adds, y, at, pixels, count,
                    )  # fmt: skip
                    continue
                if adds:
                    _stage(
                        plan, first, count, channel, rows, work, staging_at, addend, y_step, False
                    )
                panel_tile(
                    vectors, rows, inputs, packed, channel * inputs, work, panel_at,
                    epilogue, channel, work, staging_at, adds, work, staging_at, panel, count,
                )  # fmt: skip
                _stage(plan, first, count, channel, rows, work, staging_at, y, y_step, True)
        index = until
