"""Direct convolution in one or two spatial axes: register tiles read windows in place, see `_band`.

`multiply` is forward, and with transposed weights the gradient to the input; that to the weights is
in `direct_weight`.
"""

from typing import NamedTuple

import numpy as np

from ._band import band_of, copy_band, vectors_of
from ._jit import kernel
from ._pack import pack_tile, pack_weights
from ._problem import in_one_row
from ._simd import copy, lanes, variant
from ._tiles import LINE_SEGMENTS, TILE_ROWS, TILE_VECTORS, line_tile
from ._workspace import workspace

BAND_BYTES = 3 << 17
"""Aim for the size of a copied band: it should stay in a 1 MB L2 cache beside the weights."""
HEAVY_WEIGHTS = 1 << 22
"""Bytes of weights from which on a band may be twice as large if it is the only one: then weights,
which go through no cache, are packed and read once."""


def fits(plane):
    """Whether no vector touches more than LINE_SEGMENTS lines of output."""
    return plane is not None and (plane.lanes - 2) // plane.out[1] + 2 <= LINE_SEGMENTS


class Plan(NamedTuple):
    """Bands of `images` images and `lines` lines; `parts` threads share `items` bands' tiles."""

    batch: int
    inputs: int
    outputs: int
    group: int
    height: int  # of y
    width: int
    images: int
    lines: int
    items: int
    parts: int
    packed: int  # elements for weights packed beforehand, 0 where the part that needs them does
    size: int  # elements of work space for each part
    plane: int
    segments: int
    layout: np.ndarray
    offsets: np.ndarray
    vectors: np.ndarray

    way = "direct"
    adds = False
    strided = True


def band_lines(problem):
    """(values of a channel of an empty band, for a line more, how many to aim for, lines of y)."""
    inputs, height = problem.inputs, problem.out[0]
    one_line = band_of(problem, inputs, 1, 1).plane
    line = band_of(problem, inputs, 1, 2).plane - one_line
    halo, budget = one_line - line, BAND_BYTES // problem.itemsize // inputs
    lines = min(height, max(1, (budget - halo) // line))
    if HEAVY_WEIGHTS <= problem.weights * problem.itemsize and halo + line * height <= 2 * budget:
        lines = height
    return halo, line, budget, lines


def plan(problem):
    """The blocks for a problem of two axes that `fits`."""
    inputs, (height, width), batch = problem.inputs, problem.out, problem.batch
    panel, pixels = TILE_VECTORS * problem.lanes, height * width
    halo, line, budget, lines = band_lines(problem)
    images = 1
    if lines == height:
        # small images together waste fewer lanes; past L2, more than one still pays
        most = min(4 * budget // (halo + line * height), 8)
        choices = [n for n in range(1, most + 1) if batch % n == 0] or [1]
        waste = [-(n * pixels) % panel / (n * pixels) for n in choices]
        images = next(
            n for n, part in zip(choices, waste, strict=True) if part <= min(waste) + 0.03
        )
    lines = -(-height // -(-height // lines))
    items = batch // images * problem.group * -(-height // lines)
    band = band_of(problem, inputs, images, lines)
    # weights that only one band uses are packed where it does, and need not leave the cache
    packed = problem.weights if items > problem.group else 0
    own = 0 if packed else TILE_ROWS * problem.depth
    vectors, segments = vectors_of(band.base, problem.lanes)
    return Plan(
        batch, inputs, problem.outputs, problem.group, height, width, images, lines, items,
        min(problem.usable_threads, items * -(-problem.outputs // TILE_ROWS)), packed,
        images * inputs * band.plane + (3 + TILE_ROWS) * panel + own,
        band.plane, segments, band.layout, band.offsets, vectors,
    )  # fmt: skip


def multiply(x, w, y, plan, weights, epilogue):
    """y = weights times windows of x, and an epilogue; `weights` is the WeightLayout of w."""
    work = workspace(x.dtype, plan.packed + plan.parts * plan.size)
    tile = variant("line_tile", plan.segments, x.dtype)
    x, w, (y, y_step) = x.reshape(-1), w.reshape(-1), in_one_row(y)
    packed, work = work[: plan.packed], work[plan.packed :]
    if plan.packed and plan.parts > 1:
        pack_weights.on(plan.parts)(w, weights, plan.group, plan.outputs, packed)
    _multiply.on(plan.parts)(tile, x, w, y, y_step, plan, weights, epilogue, packed, work)


def multiply_packed(x, packed, y, plan, weights, epilogue):
    """`multiply` by weights that `pack` has packed."""
    work = workspace(x.dtype, plan.parts * plan.size)
    tile = variant("line_tile", plan.segments, x.dtype)
    x, (y, y_step) = x.reshape(-1), in_one_row(y)
    _multiply.on(plan.parts)(tile, x, packed[:0], y, y_step, plan, weights, epilogue, packed, work)


@kernel(parallel=True)
def _multiply(tile, x, w, y, y_step, plan, weights, epilogue, packed, work, share):
    """A share of the tiles of outputs of all (images, group, lines) bands of y.

    Weights are packed already where there is but one part and `w` is empty, or where `packed` has
    room for them and there are more.
    """
    part, parts = share
    inputs, outputs, group = plan.inputs, plan.outputs, plan.group
    height, width, images, lines = plan.height, plan.width, plan.images, plan.lines
    layout, offsets, vectors = plan.layout, plan.offsets, plan.vectors
    pixels, depth, panel = height * width, len(offsets), TILE_VECTORS * lanes(x)
    tiles, bands = -(-outputs // TILE_ROWS), -(-height // lines)
    begin = part * plan.items * tiles // parts
    end = (part + 1) * plan.items * tiles // parts
    x_plane = layout[0] * layout[1]
    staging_at = part * plan.size
    band_at = staging_at + (TILE_ROWS + 1) * panel
    own_at = (part + 1) * plan.size - TILE_ROWS * depth
    if packed.size and w.size and parts == 1:
        for item in range(group * tiles):
            pack_tile(w, weights, outputs, item, packed, 0)
    for item in range(begin // tiles, -(-end // tiles)):
        g, line = item // bands % group, item % bands * lines
        n0 = item // (bands * group) * images
        n1 = n0 + images
        for n in range(n0, n1):
            copy_band(
                x, (n * group + g) * inputs * x_plane, layout, inputs, line,
                work, band_at + (n - n0) * inputs * plan.plane,
            )  # fmt: skip
        count = (n1 - n0) * (min(lines, height - line) * width)
        for t in range(max(begin - item * tiles, 0), min(end - item * tiles, tiles)):
            first, last = t * outputs // tiles, (t + 1) * outputs // tiles
            rows = last - first
            a, a_at = packed, (g * outputs + first) * depth
            if packed.size == 0:
                pack_tile(w, weights, outputs, g * tiles + t, work, own_at - a_at)
                a, a_at = work, own_at
            target = n0 * y_step + (g * outputs + first) * pixels + line * width
            for p in range(0, count, panel):
                table_at = p // panel * (TILE_VECTORS * 2 * plan.segments)
                columns = min(panel, count - p)
                if images == 1:
                    line_tile(
                        tile, rows, depth, a, a_at, work, band_at, offsets, 0,
                        vectors, table_at, epilogue, g * outputs + first,
                        y, target + p, pixels, columns,
                    )  # fmt: skip
                    continue
                line_tile(
                    tile, rows, depth, a, a_at, work, band_at, offsets, 0,
                    vectors, table_at, epilogue, g * outputs + first,
                    work, staging_at, panel, columns,
                )  # fmt: skip
                done = 0
                while done < columns:
                    n, pixel = (p + done) // pixels, (p + done) % pixels
                    run = min(columns - done, pixels - pixel)
                    for r in range(rows):
                        to = target + n * y_step + r * pixels + pixel
                        source = staging_at + r * panel + done
                        copy(run, work, source, 1, y, to, 1)
                    done += run
