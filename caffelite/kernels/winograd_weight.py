"""The gradient to the weights of a 3 by 3 convolution by Winograd's algorithm.

The transpose of `winograd`'s forward: a kernel's gradient is G' [ sum over tiles of (A e A') *
(B' d B) ] G for 4 by 4 tiles e of the top's gradient and the 6 by 6 patches d below them. For each
of the 36 points, the sum over tiles of many inputs and outputs is a matrix product.
"""

import itertools
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
from .winograd import POINTS, fits, lines_size, transform_input  # noqa: F401  (of this way, too)

TILES = 64
"""Tiles summed at a time: with CHANNELS inputs, their transforms fit in a 1 MB L2 cache."""
CHANNELS = 48
"""Most inputs at a time."""
MIN_CHANNELS = 16
"""Fewer inputs or outputs do not pay for the transforms."""
MANY_OUTPUTS = 64
"""Of so many outputs, any number of tiles does; of fewer, see `tuning`."""


def pays(plane):
    """Whether a problem that `fits` is large enough to gain."""
    wide = min(plane.inputs, plane.outputs) >= MIN_CHANNELS and min(plane.out) >= 4
    tiles = plane.batch * -(-plane.out[0] // 4) * -(-plane.out[1] // 4)
    enough = plane.outputs >= MANY_OUTPUTS or tiles >= plane.tuned.gradient_tiles
    return wide and plane.itemsize == 4 and enough


INPUT, GRADIENT = 0.5, 11.0
"""What it takes to transform the patches of an input, and the gradients of a panel of outputs, of a
tile; to multiply one by the other takes 1. Each thread transforms what it multiplies, even if
others do, too: to read what another core has just written takes longer."""


class Plan(NamedTuple):
    """`parts` threads share blocks of (share of the tiles, group, outputs, inputs) of dw.

    TILES tiles at a time, gradients of its panels of outputs are transformed, then patches of
    up to `channels` inputs after the other.
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
    panels: int
    channels: int
    image_parts: int
    output_parts: int
    input_parts: int
    items: int
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

    @property
    def products(self):
        """Multiplications for an image of a group."""
        return POINTS * self.down * self.across * self.inputs * self.outputs


def plan(problem):
    """The blocks for a problem that `fits`."""
    batch, inputs, outputs, group, size, out = problem[:6]
    threads, lanes_of = problem.usable_threads, problem.lanes
    panel = TILE_VECTORS * lanes_of
    down, across = -(-out[0] // 4), -(-out[1] // 4)
    panels, tiles = -(-outputs // panel), batch * down * across
    sums = min(threads, -(-tiles // TILES)) if problem.weights <= SMALL_WEIGHTS else 1
    shares = _shares(tiles, panels, inputs, group, sums, threads)
    image_parts, output_parts, input_parts = shares
    most = -(-inputs // input_parts)
    channels = -(-most // -(-most // CHANNELS))
    items = image_parts * group * output_parts * input_parts
    # steps are odd numbers of vectors, so that the points of a tile spread over cache sets
    steps = [
        spaced(values, lanes_of)
        for values in (TILES * panel, channels * (TILES + lanes_of), channels * panel)
    ]
    lines = lines_size(TILES, across, lanes_of)
    own = lines + POINTS * (steps[1] + steps[2]) + 9 * channels * panel
    gradients = POINTS * -(-panels // output_parts) * steps[0]
    return Plan(
        batch, inputs, outputs, group, *size, *out, down, across, *problem.pad, panels, channels,
        *shares, items, *steps, lines, gradients,
        min(threads, items), gradients + max(own, (4 * out[1] + 16) * panel),
        np.arange(channels) * (TILES + lanes_of), np.arange(TILES),
    )  # fmt: skip


def _shares(tiles, panels, inputs, group, sums, threads):
    """In how many parts tiles, at most `sums`, outputs and inputs are cut, to be done soonest."""

    def time(shares):
        parts = zip((tiles, panels, inputs), shares, strict=True)
        own_tiles, own_panels, own_inputs = (-(-count // part) for count, part in parts)
        each = own_panels * own_inputs + INPUT * own_inputs + GRADIENT * own_panels
        rounds = -(-group * math.prod(shares) // threads)
        return rounds * own_tiles * each, shares

    def enough(*shares):
        """Of the inputs, so that each thread has 1 to 4 blocks."""
        parts = threads / (group * math.prod(shares))
        return (min(inputs, math.ceil(n * parts)) for n in range(1, 5))

    most = range(1, sums + 1), range(1, min(panels, threads) + 1)
    return min(((*two, n) for two in itertools.product(*most) for n in enough(*two)), key=time)


def add_gradient(x, dy, dw, plan):
    """dw += gradient of sum(dy * conv(x, w)) to w."""
    run = _add_gradient.on(plan.parts)

    def add(work, target):
        run(x.reshape(-1), dy.reshape(-1), target, plan, work)

    add_by_parts(add, dw, plan.image_parts, plan.parts * plan.size)


@kernel
def _transform_gradients(dy, plan, g, m, t0, t1, out_at, work, columns_at):
    """Transform those of tiles t0 <= t < t1 for one panel of outputs: point, tile, output."""
    outputs, height, width = plan.outputs, plan.out_height, plan.out_width
    down, across, step = plan.down, plan.across, plan.gradient_step
    panel = TILE_VECTORS * lanes(dy)
    patch_at = columns_at + 4 * width * panel
    rows = min(panel, outputs - m * panel)
    t = t0
    while t < t1:
        n, i = t // (down * across), t // across % down
        lines = min(4, height - 4 * i)
        source = (((n * plan.group + g) * outputs + m * panel) * height + 4 * i) * width
        write_transposed(dy, source, height * width, rows, lines * width, work, columns_at, panel)
        for j in range(t % across, min(across, t % across + t1 - t)):
            to = out_at + (t - t0) * panel
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
def _add_products(plan, first, last, count, work, right_at, input_at, totals_at, kernels_at):
    """Products of tiles for `count` inputs and a panel of outputs, as kernels: input, position."""
    panel, input_step, total_step = TILE_VECTORS * lanes(work), plan.input_step, plan.total_step
    tiles = -(-count // PIXEL_ROWS)
    clear(POINTS * total_step, work, totals_at)
    for p in range(POINTS):
        right = right_at + p * plan.gradient_step
        for k in range(tiles):
            r0, r1 = k * count // tiles, (k + 1) * count // tiles
            pixel_tile(
                r1 - r0, last - first, work, input_at + p * input_step, plan.pixels, 0,
                plan.rows, r0,
                work, right, work, totals_at + p * total_step + r0 * panel, panel,
            )  # fmt: skip
    for c in range(count):
        for v in range(0, panel, lanes(work)):
            winograd_weight_gradient(
                work, totals_at + c * panel + v, total_step,
                work, kernels_at + 9 * c * panel + v, panel,
            )  # fmt: skip


@kernel(parallel=True)
def _add_gradient(x, dy, target, plan, work, share):
    """A share of the blocks of dw. What shares of the tiles add up to lies one behind another."""
    inputs, outputs, group, panels = plan.inputs, plan.outputs, plan.group, plan.panels
    output_parts, input_parts, channels = plan.output_parts, plan.input_parts, plan.channels
    x_plane, all_tiles = plan.height * plan.width, plan.batch * plan.down * plan.across
    panel, gradient_size = TILE_VECTORS * lanes(x), POINTS * plan.gradient_step
    gradients_at = share[0] * plan.size
    lines_at = gradients_at + plan.gradients
    input_at = lines_at + plan.lines
    totals_at = input_at + POINTS * plan.input_step
    kernels_at = totals_at + POINTS * plan.total_step
    for item in prange(plan.items, share):
        block, rest = item % input_parts, item // input_parts
        outputs_block, g, part = (
            rest % output_parts, rest // output_parts % group, rest // (output_parts * group)
        )  # fmt: skip
        c0, c1 = block * inputs // input_parts, (block + 1) * inputs // input_parts
        m0 = outputs_block * panels // output_parts
        m1 = (outputs_block + 1) * panels // output_parts
        begin = part * all_tiles // plan.image_parts
        end = (part + 1) * all_tiles // plan.image_parts
        for first in range(begin, end, TILES):
            last = min(first + TILES, end)
            for m in range(m0, m1):
                to = gradients_at + (m - m0) * gradient_size
                _transform_gradients(dy, plan, g, m, first, last, to, work, lines_at)
            for c in range(c0, c1, channels):
                count = min(channels, c1 - c)
                for k in range(count):
                    transform_input(
                        x, (g * inputs + c + k) * x_plane, plan, first, last,
                        work, lines_at, input_at + k * (TILES + lanes(x)), plan.input_step,
                    )  # fmt: skip
                for m in range(m0, m1):
                    _add_products(
                        plan, first, last, count, work, gradients_at + (m - m0) * gradient_size,
                        input_at, totals_at, kernels_at,
                    )  # fmt: skip
                    row = (part * group + g) * outputs + m * panel
                    add_transposed(
                        work, kernels_at, panel, 9 * count, min(panel, outputs - m * panel),
                        target, (row * inputs + c) * 9, inputs * 9, totals_at,
                    )  # fmt: skip
