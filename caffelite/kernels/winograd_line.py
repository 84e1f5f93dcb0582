"""7 by 1 and 1 by 7 convolution with stride 1 by Winograd's F(4, 7): 10 products for 28.

4 outputs along the axis of the window are A' [ sum over c of (G g) * (B' d) ] for kernels g and the
10 values d below them. For each of the 10 points, the sum over c of all places and outputs is a
matrix product. Float32 results differ from direct convolution by some 1e-5 of the largest value.

All that lies beside each other across the axis, of all images, is a row; a tile is 4 rows of
outputs, a place is a column of a tile. `inputs` of a step are transformed as (point, group, panel
of places, input, place), products are (point, output, place).

Lavin, Gray 2015, arXiv:1509.09308
"""

from typing import NamedTuple

from ._jit import kernel, prange
from ._problem import in_one_row
from ._simd import clear, copy, lanes
from ._tiles import TILE_ROWS, TILE_VECTORS, tile, transpose
from ._transpose import transpose_all
from ._winograd_line_tiles import OUTPUTS, POINTS, TAPS, line_input, line_output, line_weight
from ._workspace import aligned, workspace
from .gemm import spaced

FITTING = (TAPS, 1), (1, TAPS)
"""Kernels."""
MIN_CHANNELS = 32
"""Fewer inputs or outputs than this do not pay for the transforms."""
MIN_PRODUCTS = 15_000
"""Nor do fewer products of places by inputs or outputs, whichever are fewer."""
MIN_PRODUCTS_KEPT = 8_000
"""The same where weights are transformed once for many products."""
TOGETHER = 4
"""Channels transformed at a time: of a panel, they are written beside each other."""


def fits(plane):
    """Whether a problem, in the form of `Problem.plane`, is one that this algorithm computes."""
    if plane is None or plane.kernel not in FITTING:
        return False
    axis = plane.kernel.index(TAPS)
    dense = plane.stride == (1, 1) and plane.dilation == (1, 1)
    return dense and plane.pad[axis] < TAPS and plane.pad[1 - axis] == 0


def pays(plane):
    """Whether one that fits is large enough to gain."""
    axis = plane.kernel.index(TAPS)
    places = plane.batch * plane.out[1 - axis] * -(-plane.out[axis] // OUTPUTS)
    wide = plane.itemsize == 4 and plane.out[axis] >= OUTPUTS
    channels = min(plane.inputs, plane.outputs)
    least = MIN_PRODUCTS_KEPT if plane.kept else MIN_PRODUCTS
    return wide and channels >= MIN_CHANNELS and channels * places >= least


class Plan(NamedTuple):
    """Tiles of 4 rows; `parts` threads share channels to transform, panels to multiply."""

    batch: int
    inputs: int
    outputs: int
    group: int
    across: bool  # the window lies along lines of pixels
    length: int  # of the window's axis
    other: int  # size across
    out_length: int
    pad: int
    tiles: int
    row: int  # columns of all images, whole vectors
    panels: int  # of TILE_VECTORS vectors of places
    panel_step: int  # elements from a panel of inputs to the next
    input_step: int  # from a point to the next: of inputs, products and weights
    product_step: int
    point_step: int
    parts: int
    packed: int  # elements for packed weights
    lines: int  # elements of work space for each part

    way = "winograd"
    adds = False
    strided = True

    @property
    def products(self):
        """Multiplications for an image of a group."""
        return POINTS * self.tiles * self.other * self.inputs * self.outputs

    @property
    def size(self):
        """Elements for inputs, products and the parts."""
        return POINTS * (self.input_step + self.product_step) + self.parts * self.lines


def plan(problem):
    """The tiles for a problem that `fits`."""
    batch, inputs, outputs, group, size, out = problem[:6]
    axis = problem.kernel.index(TAPS)
    lane_count, panel = problem.lanes, TILE_VECTORS * problem.lanes
    tiles = -(-out[axis] // OUTPUTS)
    row = -(-batch * out[1 - axis] // lane_count) * lane_count
    panels = -(-tiles * row // panel)
    lines = (OUTPUTS * tiles + TAPS - 1) * row
    step = spaced(group * outputs * inputs, lane_count)
    return Plan(
        batch, inputs, outputs, group, axis == 1, size[axis], size[1 - axis], out[axis],
        problem.pad[axis], tiles, row, panels,
        (inputs | 1) * panel, spaced(group * panels * (inputs | 1) * panel, lane_count),
        spaced(group * outputs * panels * panel, lane_count),
        step, problem.usable_threads, POINTS * step,
        max(TOGETHER * lines, POINTS * TILE_ROWS * lane_count),
    )  # fmt: skip


def multiply(x, w, y, plan, weights, epilogue):
    """y = weights times windows of x, and an epilogue; `weights` is the WeightLayout of w."""
    work = workspace(x.dtype, plan.packed + plan.size)
    packed, work = work[: plan.packed], work[plan.packed :]
    _transform_weights.on(plan.parts)(w.reshape(-1), weights, plan, packed, work)
    _multiply_by(packed, x, y, plan, epilogue, work)


def pack(w, plan, weights):
    """All weights, transformed and packed; `weights` is their WeightLayout."""
    packed, work = aligned(w.dtype, plan.packed), workspace(w.dtype, plan.size)
    _transform_weights.on(plan.parts)(w.reshape(-1), weights, plan, packed, work)
    return packed


def multiply_packed(x, packed, y, plan, weights, epilogue):
    """`multiply` by weights that `pack` has transformed."""
    _multiply_by(packed, x, y, plan, epilogue, workspace(x.dtype, plan.size))


def _multiply_by(packed, x, y, plan, epilogue, work):
    inputs, products, lines = cut(work, plan)
    y, y_step = in_one_row(y)
    transform_inputs.on(plan.parts)(x.reshape(-1), plan, inputs, lines)
    _multiply.on(plan.parts)(packed, inputs, plan, products)
    _transform_products.on(plan.parts)(products, plan, epilogue, y, y_step, lines)


def cut(work, plan):
    """Work space for inputs, for products, and for parts."""
    inputs, products = POINTS * plan.input_step, POINTS * plan.product_step
    return work[:inputs], work[inputs:][:products], work[inputs + products :]


@kernel(parallel=True)
def _transform_weights(w, layout, plan, packed, work, share):
    """Transform and pack the weights: point, tile, input, output.

    In `work`, the kernels of a tile's outputs lie beside each other on the way.
    """
    inputs, outputs, square = plan.inputs, plan.outputs, lanes(w)
    row_step, position_step = layout.output_step, layout.position_step
    tiles, kernels_at = -(-outputs // TILE_ROWS), share[0] * plan.lines
    step = max(square, TILE_ROWS)
    for item in prange(plan.group * tiles, share):
        g, t = item // tiles, item % tiles
        first, last = t * outputs // tiles, (t + 1) * outputs // tiles
        rows, target = last - first, (g * outputs + first) * inputs
        for c in range(inputs):
            source = layout.start + g * layout.group_step + first * row_step + c * layout.input_step
            low = min(source, source + (TAPS - 1) * position_step)
            if square >= max(TILE_ROWS, TAPS) and low + square * row_step + square <= len(w):
                transpose(w, low, row_step, work, kernels_at, step)
            else:
                for k in range(TAPS):
                    copy(rows, w, low + k, row_step, work, kernels_at + k * step, 1)
            # transposed weights have the last position first
            start = kernels_at + (source - low) * step
            for r in range(0, rows, square):
                line_weight(
                    rows - r, work, start + r, position_step * step,
                    packed, target + c * rows + r, plan.point_step,
                )  # fmt: skip


@kernel(parallel=True)
def transform_inputs(x, plan, inputs, work, share):
    """Transform all of x, some channels after the other."""
    row, panel, lines_at = plan.row, TILE_VECTORS * lanes(x), share[0] * plan.lines
    blocks, rows = -(-plan.inputs // TOGETHER), (OUTPUTS * plan.tiles + TAPS - 1) * row
    for item in prange(plan.group * blocks, share):
        g, first = item // blocks, item % blocks * TOGETHER
        last = min(first + TOGETHER, plan.inputs)
        for c in range(first, last):
            _copy_rows(x, plan, g * plan.inputs + c, work, lines_at + (c - first) * rows)
        for i in range(plan.tiles):
            for q in range(0, row, lanes(x)):
                place = i * row + q
                to = (g * plan.panels + place // panel) * plan.panel_step + place % panel
                for c in range(first, last):
                    line_input(
                        work, lines_at + (c - first) * rows + OUTPUTS * i * row + q, row,
                        inputs, to + c * panel, plan.input_step,
                    )  # fmt: skip


@kernel
def _copy_rows(x, plan, channel, out, out_at):
    """The rows of a channel, of all images, between rows of zeros."""
    row, length, other = plan.row, plan.length, plan.other
    clear(plan.pad * row, out, out_at)
    end, whole = (plan.pad + length) * row, (OUTPUTS * plan.tiles + TAPS - 1) * row
    clear(whole - end, out, out_at + end)
    for n in range(plan.batch):
        source = (n * plan.group * plan.inputs + channel) * length * other
        to = out_at + plan.pad * row + n * other
        if plan.across:
            transpose_all(x, source, length, other, length, out, to, row)
        else:
            for i in range(length):
                copy(other, x, source + i * other, 1, out, to + i * row, 1)


@kernel(parallel=True)
def _multiply(packed, inputs, plan, products, share):
    """A share of the (point, group, panel) blocks of products."""
    depth, outputs, group, panels = plan.inputs, plan.outputs, plan.group, plan.panels
    panel, row_tiles = TILE_VECTORS * lanes(packed), -(-outputs // TILE_ROWS)
    for item in prange(POINTS * group * panels, share):
        p, g, j = item // (group * panels), item // panels % group, item % panels
        source = p * plan.input_step + (g * panels + j) * plan.panel_step
        for m in range(row_tiles):
            m0, m1 = m * outputs // row_tiles, (m + 1) * outputs // row_tiles
            row = g * outputs + m0
            tile(
                m1 - m0, depth, packed, p * plan.point_step + row * depth, inputs, source, panel,
                products, p * plan.product_step + (row * panels + j) * panel, panels * panel,
                panel, False,
            )  # fmt: skip


@kernel(parallel=True)
def _transform_products(products, plan, epilogue, y, y_step, work, share):
    """Outputs of all products, a channel after the other."""
    row, length, other = plan.row, plan.out_length, plan.other
    places, lines_at = plan.panels * TILE_VECTORS * lanes(y), share[0] * plan.lines
    for m in prange(plan.group * plan.outputs, share):
        for i in range(plan.tiles):
            for q in range(0, row, lanes(y)):
                line_output(
                    products, m * places + i * row + q, plan.product_step, epilogue, m,
                    work, lines_at + OUTPUTS * i * row + q, row,
                )  # fmt: skip
        for n in range(plan.batch):
            source, to = lines_at + n * other, n * y_step + m * length * other
            if plan.across:
                transpose_all(work, source, row, length, other, y, to, length)
            else:
                for i in range(length):
                    copy(other, work, source + i * row, 1, y, to + i * other, 1)
