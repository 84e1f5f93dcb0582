"""The gradient to the weights of a 7 by 1 or 1 by 7 convolution by Winograd's algorithm.

The transpose of `winograd_line`'s forward: a kernel's gradient is G' [ sum over tiles of (A e) *
(B' d) ] for 4 values e of the top's gradient and the 10 values d below them. For each of the 10
points, the sum over places of many inputs and outputs is a matrix product. `inputs` are those of
`winograd_line`; gradients are transformed as (point, group, panel of outputs, place, output), and
sums are (point, group, panel of outputs, input, output).
"""

from typing import NamedTuple

import numpy as np

from ._jit import kernel, prange
from ._simd import clear, lanes
from ._tiles import PIXEL_ROWS, TILE_VECTORS, pixel_tile
from ._transpose import add_transposed, write_transposed
from ._winograd_line_tiles import OUTPUTS, POINTS, TAPS, line_gradient, line_weight_gradient
from ._workspace import workspace
from .gemm import spaced
from .winograd_line import cut, fits, pays, transform_inputs  # noqa: F401  (those of this way, too)
from .winograd_line import plan as plan_forward

PLACES = 64
"""Products added up by themselves: sums of few are more exact, and their terms stay in cache."""
CHANNELS = 16
"""Inputs whose sums a thread makes kernels of at a time."""
ENOUGH = 4
"""Blocks of sums for each thread, for which inputs are cut where there are fewer."""


class Plan(NamedTuple):
    """`forward` is the plan of inputs; `places` says where each lies among transformed inputs."""

    forward: tuple
    panels: int  # of outputs
    cuts: int  # of the inputs
    gradient_step: int  # elements from a point to the next, of gradients
    sum_step: int  # of sums
    lines: int  # elements of work space for each part
    places: np.ndarray
    rows: np.ndarray  # where each input lies in a panel of places

    way = "winograd"

    @property
    def products(self):
        """Multiplications for an image of a group."""
        return self.forward.products


def plan(problem):
    """The blocks for a problem that `fits`."""
    forward = plan_forward(problem)
    panel = TILE_VECTORS * problem.lanes
    panels = -(-problem.outputs // panel)
    columns = forward.batch * forward.other
    place = (np.arange(forward.tiles)[:, None] * forward.row + np.arange(columns)).reshape(-1)
    blocks = POINTS * problem.group * panels
    cuts = min(-(-problem.inputs // PIXEL_ROWS), -(-ENOUGH * forward.parts // blocks))
    lines = max(OUTPUTS * forward.tiles * forward.other, TAPS * CHANNELS + problem.lanes)
    return Plan(
        forward, panels, cuts,
        spaced(problem.group * panels * len(place) * panel, problem.lanes),
        spaced(problem.group * panels * problem.inputs * panel, problem.lanes), lines * panel,
        place // panel * forward.panel_step + place % panel, np.arange(problem.inputs) * panel,
    )  # fmt: skip


def add_gradient(x, dy, dw, plan):
    """dw += gradient of sum(dy * conv(x, w)) to w."""
    forward, more = plan.forward, POINTS * plan.gradient_step
    own = forward.size + more + POINTS * plan.sum_step + forward.parts * plan.lines
    work = workspace(dw.dtype, own)
    inputs, _, lines = cut(work, forward)
    gradients, work = work[forward.size :][:more], work[forward.size + more :]
    sums, work = work[: POINTS * plan.sum_step], work[POINTS * plan.sum_step :]
    sizes = plan.panels, plan.cuts, plan.gradient_step, plan.sum_step, plan.lines
    transform_inputs.on(forward.parts)(x.reshape(-1), forward, inputs, lines)
    _transform_gradients.on(forward.parts)(dy.reshape(-1), forward, sizes, gradients, work)
    _add_products.on(forward.parts)(
        inputs, gradients, forward, sizes, plan.places, plan.rows, sums
    )  # fmt: skip
    _add_kernels.on(forward.parts)(sums, forward, sizes, dw.reshape(-1), work)


@kernel(parallel=True)
def _transform_gradients(dy, plan, sizes, gradients, work, share):
    """Transform all of dy: outputs of a panel beside each other, an image after the other."""
    panels, _, gradient_step, _, part_size = sizes
    panel, outputs = TILE_VECTORS * lanes(dy), plan.outputs
    length, other = plan.out_length, plan.other
    columns, lines_at, whole = plan.batch * other, share[0] * part_size, OUTPUTS * plan.tiles
    line_step, column_step = (panel, whole * panel) if plan.across else (other * panel, panel)
    for item in prange(plan.batch * plan.group * panels, share):
        n, block = item // (plan.group * panels), item % (plan.group * panels)
        g, j = block // panels, block % panels
        rows = min(panel, outputs - j * panel)
        source = ((n * plan.group + g) * outputs + j * panel) * length * other
        if plan.across:
            for q in range(other):
                at = lines_at + q * column_step
                write_transposed(
                    dy, source + q * length, length * other, rows, length, work, at, panel
                )  # fmt: skip
                clear((whole - length) * panel, work, at + length * panel)
        else:
            write_transposed(
                dy, source, length * other, rows, length * other, work, lines_at, panel
            )  # fmt: skip
            clear((whole - length) * line_step, work, lines_at + length * line_step)
        for i in range(plan.tiles):
            for q in range(other):
                place = (block * plan.tiles + i) * columns + n * other + q
                for v in range(0, panel, lanes(dy)):
                    line_gradient(
                        work, lines_at + OUTPUTS * i * line_step + q * column_step + v, line_step,
                        gradients, place * panel + v, gradient_step,
                    )  # fmt: skip


@kernel(parallel=True)
def _add_products(inputs, gradients, plan, sizes, places, rows, sums, share):
    """A share of the (point, group, panel of outputs, cut of the inputs) blocks of sums."""
    panels, cuts, gradient_step, sum_step, _ = sizes
    count, panel, blocks = plan.inputs, TILE_VECTORS * lanes(inputs), plan.group * panels
    tiles = -(-count // PIXEL_ROWS)
    for item in prange(POINTS * blocks * cuts, share):
        p, block, piece = item // (blocks * cuts), item // cuts % blocks, item % cuts
        begin, end = piece * tiles // cuts, (piece + 1) * tiles // cuts
        source = p * plan.input_step + block // panels * plan.panels * plan.panel_step
        right = p * gradient_step + block * len(places) * panel
        target = p * sum_step + block * count * panel
        top, bottom = begin * count // tiles, end * count // tiles
        clear((bottom - top) * panel, sums, target + top * panel)
        for first in range(0, len(places), PLACES):
            depth = min(PLACES, len(places) - first)
            for k in range(begin, end):
                r0, r1 = k * count // tiles, (k + 1) * count // tiles
                pixel_tile(
                    r1 - r0, depth, inputs, source, places, first, rows, r0,
                    gradients, right + first * panel, sums, target + r0 * panel, panel,
                )  # fmt: skip


@kernel(parallel=True)
def _add_kernels(sums, plan, sizes, dw, work, share):
    """Add the kernels that sums come to, some inputs of a panel of outputs after the other."""
    panels, _, _, sum_step, part_size = sizes
    inputs, outputs, panel = plan.inputs, plan.outputs, TILE_VECTORS * lanes(sums)
    kernels_at, chunks = share[0] * part_size, -(-inputs // CHANNELS)
    for item in prange(plan.group * panels * chunks, share):
        block, c0 = item // chunks, item % chunks * CHANNELS
        g, j, count = block // panels, block % panels, min(CHANNELS, inputs - c0)
        for c in range(count):
            for v in range(0, panel, lanes(sums)):
                line_weight_gradient(
                    sums, (block * inputs + c0 + c) * panel + v, sum_step,
                    work, kernels_at + TAPS * c * panel + v, panel,
                )  # fmt: skip
        row = g * outputs + j * panel
        add_transposed(
            work, kernels_at, panel, TAPS * count, min(panel, outputs - j * panel),
            dw, (row * inputs + c0) * TAPS, inputs * TAPS, kernels_at + TAPS * count * panel,
        )  # fmt: skip
