"""The gradient to the weights of a 3 by 3 convolution by Winograd's algorithm.

The transpose of `winograd`'s forward: a kernel's gradient is G' [ sum over tiles of (A e A') *
(B' d B) ] G for 4 by 4 tiles e of the top's gradient and the 6 by 6 patches d below them. For each
of the 36 points, the sum over tiles of many inputs and outputs is a matrix product.
"""

import math
from typing import NamedTuple

import numpy as np

from ._jit import kernel, prange
from ._problem import SMALL_WEIGHTS
from ._simd import clear, copy, lanes
from ._tiles import PIXEL_ROWS, TILE_VECTORS, pixel_tile
from ._transpose import add_transposed, write_transposed
from ._winograd_tiles import winograd_gradient, winograd_weight_gradient
from ._workspace import add_by_parts
from .gemm import spaced
from .winograd import POINTS, lines_size, transform_input

TILES = 64
"""Tiles summed at a time: with CHANNELS inputs, their transforms fit in a 1 MB L2 cache."""
CHANNELS = 48
"""Most inputs at a time."""
MIN_INPUTS, MIN_OUTPUTS, MIN_TILES = 64, 32, 48
"""Fewer inputs, outputs or tiles of few outputs do not pay for the transforms."""


def pays(plane):
    """Whether a problem that `winograd.fits` is large enough to gain."""
    wide = plane.inputs >= MIN_INPUTS and plane.outputs >= MIN_OUTPUTS and min(plane.out) >= 4
    tiles = plane.batch * -(-plane.out[0] // 4) * -(-plane.out[1] // 4)
    return wide and plane.itemsize == 4 and (plane.outputs >= MIN_INPUTS or tiles >= MIN_TILES)


class Plan(NamedTuple):
    """`chunk` tiles at a time: their gradients are transformed, then `image_parts` of them summed.

    Gradients are cut in `slices` tiles by panels of outputs, sums in blocks of inputs.
    """

    batch: int
    inputs: int
    outputs: int
    group: int
    height: int
    width: int
    out_height: int
    out_width: int
    down: int  # tiles of an image
    across: int
    above: int  # pads
    left: int
    channels: int
    panels: int
    image_parts: int
    chunk: int
    slices: int
    gradient_step: int
    input_step: int
    total_step: int
    lines: int
    gradients: int  # elements for transformed gradients
    parts: int
    size: int  # elements of work space for each part
    rows: np.ndarray
    pixels: np.ndarray

    way = "winograd"


def plan(problem):
    """The blocks for a problem that `winograd.fits`."""
    batch, inputs, outputs, group, size, out = problem[:6]
    threads, lanes_of = problem.usable_threads, problem.lanes
    panel = TILE_VECTORS * lanes_of
    down, across = -(-out[0] // 4), -(-out[1] // 4)
    count = batch * down * across
    panels = -(-outputs // panel)
    blocks = -(-inputs // CHANNELS)
    few = problem.weights <= SMALL_WEIGHTS
    image_parts = min(threads, -(-count // TILES)) if few else 1
    while blocks < inputs and image_parts * group * blocks % threads:
        blocks += 1
    channels = -(-inputs // blocks)
    chunk = min(image_parts * TILES, count)
    # steps are odd numbers of vectors, so that the points of a tile spread over cache sets
    steps = [
        spaced(values, lanes_of)
        for values in (chunk * panel, channels * (TILES + lanes_of), channels * panel)
    ]
    lines = lines_size(TILES, across, lanes_of)
    own = lines + POINTS * (steps[1] + steps[2]) + 9 * channels * panel
    return Plan(
        batch, inputs, outputs, group, *size, *out, down, across, *problem.pad, channels, panels,
        image_parts, chunk, threads // math.gcd(threads, group * panels), *steps, lines,
        POINTS * group * panels * steps[0], threads, max(own, (4 * out[1] + 16) * panel),
        np.arange(channels) * (TILES + lanes_of), np.arange(TILES),
    )  # fmt: skip


def add_gradient(x, dy, dw, plan):
    """dw += gradient of sum(dy * conv(x, w)) to w."""
    x, dy, tiles = x.reshape(-1), dy.reshape(-1), plan.batch * plan.down * plan.across
    transform, multiply = _transform.on(plan.parts), _add.on(plan.parts)

    def add(work, target):
        for t0 in range(0, tiles, plan.chunk):
            transform(dy, plan, t0, min(t0 + plan.chunk, tiles), work)
            multiply(x, target, plan, t0, work)

    add_by_parts(add, dw, plan.image_parts, plan.gradients + plan.parts * plan.size)


@kernel
def _transform_gradients(dy, plan, t0, t1, item, work, columns_at):
    """Transform one slice of tiles t0 <= t < t1 for one panel of outputs: point, tile, output."""
    outputs, group, panels, slices = plan.outputs, plan.group, plan.panels, plan.slices
    height, width, down, across = plan.out_height, plan.out_width, plan.down, plan.across
    step = plan.gradient_step
    panel = TILE_VECTORS * lanes(dy)
    patch_at = columns_at + 4 * width * panel
    part, m, g = item % slices, item // slices % panels, item // (slices * panels)
    rows = min(panel, outputs - m * panel)
    t, last = t0 + part * (t1 - t0) // slices, t0 + (part + 1) * (t1 - t0) // slices
    while t < last:
        n, i = t // (down * across), t // across % down
        lines = min(4, height - 4 * i)
        source = (((n * group + g) * outputs + m * panel) * height + 4 * i) * width
        write_transposed(dy, source, height * width, rows, lines * width, work, columns_at, panel)
        for j in range(t % across, min(across, t % across + last - t)):
            to = (g * panels + m) * POINTS * step + (t - t0) * panel
            columns = min(4, width - 4 * j)
            at, line = columns_at + 4 * j * panel, width * panel
            if lines < 4 or columns < 4:
                clear(16 * panel, work, patch_at)
                for k in range(lines):
                    copy(columns * panel, work, at + k * line, 1, work, patch_at + 4 * k * panel, 1)
                at, line = patch_at, 4 * panel
            for v in range(0, panel, lanes(dy)):
                winograd_gradient(work, at + v, line, panel, work, to + v, step)
            t += 1


@kernel
def _add_products(x, target, plan, t0, item, work, work_at):
    """Add the products of one part of the tiles from t0 on, for one block of inputs.

    The sums of a part are those of dw: group and output, input, position. Parts
    lie one behind another.
    """
    inputs, outputs, group = plan.inputs, plan.outputs, plan.group
    x_plane, all_tiles = plan.height * plan.width, plan.batch * plan.down * plan.across
    panels, input_step, total_step = plan.panels, plan.input_step, plan.total_step
    panel, per_vector = TILE_VECTORS * lanes(x), lanes(x)
    blocks = -(-inputs // plan.channels)
    block, g, part = item % blocks, item // blocks % group, item // (blocks * group)
    c0, c1 = block * inputs // blocks, (block + 1) * inputs // blocks
    count, tiles = c1 - c0, -(-(c1 - c0) // PIXEL_ROWS)
    first = t0 + part * TILES
    last = min(first + TILES, min(t0 + plan.chunk, all_tiles))
    input_at = work_at + plan.lines
    totals_at = input_at + POINTS * input_step
    kernels_at = totals_at + POINTS * total_step
    for c in range(count):
        transform_input(
            x, (g * inputs + c0 + c) * x_plane, plan, first, last,
            work, work_at, input_at + c * (TILES + per_vector), input_step,
        )  # fmt: skip
    for m in range(panels):
        clear(POINTS * total_step, work, totals_at)
        for p in range(POINTS):
            right = ((g * panels + m) * POINTS + p) * plan.gradient_step
            right += (first - t0) * panel
            for k in range(tiles):
                r0, r1 = k * count // tiles, (k + 1) * count // tiles
                pixel_tile(
                    r1 - r0, last - first, work, input_at + p * input_step, plan.pixels, 0,
                    plan.rows, r0,
                    work, right, work, totals_at + p * total_step + r0 * panel, panel,
                )  # fmt: skip
        for c in range(count):
            for v in range(0, panel, per_vector):
                winograd_weight_gradient(
                    work, totals_at + c * panel + v, total_step,
                    work, kernels_at + 9 * c * panel + v, panel,
                )  # fmt: skip
        row = (part * group + g) * outputs + m * panel
        add_transposed(
            work, kernels_at, panel, 9 * count, min(panel, outputs - m * panel),
            target, (row * inputs + c0) * 9, inputs * 9, totals_at,
        )  # fmt: skip


@kernel(parallel=True)
def _transform(dy, plan, t0, t1, work, share):
    """The gradients of tiles t0 to t1, transformed."""
    part = share[0]
    gradients = plan.group * plan.panels * plan.slices
    own = plan.gradients + part * plan.size
    for item in prange(gradients, share):
        _transform_gradients(dy, plan, t0, t1, item, work, own)


@kernel(parallel=True)
def _add(x, target, plan, t0, work, share):
    """The products of `plan.chunk` tiles from t0 on, added up."""
    part = share[0]
    products = plan.image_parts * plan.group * -(-plan.inputs // plan.channels)
    own = plan.gradients + part * plan.size
    for item in prange(products, share):
        _add_products(x, target, plan, t0, item, work, own)
