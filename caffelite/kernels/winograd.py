"""3 by 3 convolution with stride 1 by Winograd's F(4x4, 3x3): a quarter of the multiplications.

An output tile of 4 by 4 pixels is A' [ sum over c of (G g G') * (B' d B) ] A for kernels g and
6 by 6 patches d. For each of the 36 points, the sum over c of many tiles and outputs is a matrix
product. Float32 results differ from direct convolution by some 1e-5 of the largest value.

Lavin, Gray 2015, arXiv:1509.09308
"""

from typing import NamedTuple

from ._jit import kernel, prange
from ._problem import in_one_row, uneven
from ._simd import clear, copy, lanes
from ._tiles import TILE_ROWS, TILE_VECTORS, narrow_tile, tile, transpose
from ._winograd_tiles import winograd_input, winograd_output, winograd_weight
from ._workspace import aligned, workspace
from .gemm import spaced

POINTS = 36
FITTING = (3, 3), (1, 1), (1, 1)
"""Kernel, stride and dilation."""
MIN_CHANNELS = 16
"""Fewer inputs or outputs than this do not pay for the transforms."""
MANY_CHANNELS = 128
"""From so many inputs and outputs on, fewer tiles pay; see `tuning` for how many."""


def fits(plane):
    """Whether a problem, in the form of `Problem.plane`, is one that this algorithm computes."""
    return plane is not None and (plane.kernel, plane.stride, plane.dilation) == FITTING


def pays(plane):
    """Whether one that fits is large enough to gain."""
    wide = plane.itemsize == 4 and min(plane.out) >= 4
    channels = min(plane.inputs, plane.outputs)
    tiles = plane.batch * -(-plane.out[0] // 4) * -(-plane.out[1] // 4)
    tuned = plane.tuned
    least = tuned.tiles_of_many if channels >= MANY_CHANNELS else tuned.tiles
    least = tuned.tiles_kept if plane.kept else least
    return wide and channels >= MIN_CHANNELS and tiles >= least


class Plan(NamedTuple):
    """Panels of 4 by 4 tiles; `parts` threads share `items` (panel, group, outputs) blocks."""

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
    panel: int  # tiles: TILE_VECTORS vectors of them, or a single one
    panels: int
    output_parts: int
    items: int
    parts: int
    point_step: int  # elements from the transformed weights of a point to the next one's
    packed: int  # elements for all
    size: int  # elements of work space for each part

    way = "winograd"
    adds = False
    strided = True

    @property
    def products(self):
        """Multiplications for an image of a group."""
        return POINTS * self.down * self.across * self.inputs * self.outputs


def plan(problem):
    """The blocks for a problem that `fits`."""
    batch, inputs, outputs, group, size, out = problem[:6]
    threads, panel = problem.usable_threads, TILE_VECTORS * problem.lanes
    down, across = -(-out[0] // 4), -(-out[1] // 4)
    if batch * down * across <= problem.lanes:
        panel = problem.lanes
    panels = -(-batch * down * across // panel)
    row_tiles = -(-outputs // TILE_ROWS)
    output_parts = 1
    # each share of the outputs transforms the inputs again
    while uneven(panels * group * output_parts, threads) and output_parts < min(row_tiles, threads):
        output_parts += 1
    items = panels * group * output_parts
    # an odd number of vectors, so that the weights of 36 points spread over cache sets
    step = spaced(group * outputs * inputs, problem.lanes)
    own = POINTS * (inputs + 1 + TILE_ROWS) * panel + 16 * panel
    own += lines_size(panel, across, problem.lanes)
    return Plan(
        batch, inputs, outputs, group, *size, *out, down, across, *problem.pad, panel, panels,
        output_parts, items, min(threads, items), step, POINTS * step, own,
    )  # fmt: skip


def multiply(x, w, y, plan, weights, epilogue):
    """y = weights times windows of x, and an epilogue; `weights` is the WeightLayout of w."""
    work = workspace(x.dtype, plan.packed + plan.parts * plan.size)
    x, w, (y, y_step) = x.reshape(-1), w.reshape(-1), in_one_row(y)
    packed, work = work[: plan.packed], work[plan.packed :]
    if plan.parts > 1 and plan.panels > 1:
        _transform_all.on(plan.parts)(w, weights, plan, packed, work)
    _multiply.on(plan.parts)(x, w, y, y_step, plan, weights, epilogue, packed, work)


def pack(w, plan, weights):
    """All weights, transformed and packed; `weights` is their WeightLayout."""
    packed, work = aligned(w.dtype, plan.packed), workspace(w.dtype, plan.parts * plan.size)
    _transform_all.on(plan.parts)(w.reshape(-1), weights, plan, packed, work)
    return packed


def multiply_packed(x, packed, y, plan, weights, epilogue):
    """`multiply` by weights that `pack` has transformed."""
    work = workspace(x.dtype, plan.parts * plan.size)
    x, (y, y_step) = x.reshape(-1), in_one_row(y)
    _multiply.on(plan.parts)(x, packed[:0], y, y_step, plan, weights, epilogue, packed, work)


@kernel
def _transform_weights(w, layout, plan, item, out, work, kernels_at):
    """Transform and pack the weights of one tile of outputs: point, tile, input, output.

    In work[kernels_at:], the 3 by 3 kernels of all outputs lie beside each other on the way.
    """
    inputs, outputs, position_step = layout.inputs, plan.outputs, layout.position_step
    row_step = layout.output_step
    tiles = -(-outputs // TILE_ROWS)
    g, t = item // tiles, item % tiles
    first, last = t * outputs // tiles, (t + 1) * outputs // tiles
    rows, square = last - first, lanes(out)
    target = (g * outputs + first) * inputs
    step = max(square, TILE_ROWS)
    for c in range(inputs):
        source = layout.start + g * layout.group_step + first * row_step + c * layout.input_step
        low = min(source, source + 8 * position_step)
        if square >= max(TILE_ROWS, 9) and low + square * row_step + square <= len(w):
            transpose(w, low, row_step, work, kernels_at, step)
        else:
            for k in range(9):
                copy(rows, w, low + k, row_step, work, kernels_at + k * step, 1)
        # transposed weights have the last position first
        start = source - low
        for r in range(0, rows, square):
            winograd_weight(
                rows - r, work, kernels_at + start * step + r, position_step * step,
                out, target + c * rows + r, plan.point_step,
            )  # fmt: skip


@kernel(parallel=True)
def _transform_all(w, weights, plan, packed, work, share):
    tiles = plan.group * -(-plan.outputs // TILE_ROWS)
    for item in prange(tiles, share):
        _transform_weights(w, weights, plan, item, packed, work, share[0] * plan.size)


def lines_size(tiles, across, per_vector):
    """Elements of work space for the lines under `tiles` tiles in `transform_input`."""
    return (4 * (tiles // across + 2) + 2) * (4 * across + 2) + 5 * per_vector


@kernel
def transform_input(x, x_at, plan, first, last, work, lines_at, out_at, out_step):
    """Transform the patches of one channel for tiles first <= t < last: point, tile.

    Lanes beyond the last tile are written, too.
    """
    height, width, down, across = plan.height, plan.width, plan.down, plan.across
    image_step = plan.group * plan.inputs * height * width
    line, t = 4 * across + 2, first
    while t < last:
        n, i = t // (down * across), t // across % down
        end = min(last, (n + 1) * down * across)
        lines = 4 * ((end - 1) // across % down - i) + 6
        image = x_at + n * image_step
        i0 = 4 * i - plan.above
        _copy_lines(x, image, height, width, i0, lines, plan.left, work, lines_at, line)
        while t < end:
            j = t % across
            source = lines_at + 4 * ((t // across % down - i) * line + j)
            winograd_input(work, source, line, work, out_at + t - first, out_step)
            t += min(across - j, min(end - t, lanes(x)))


@kernel
def _copy_lines(x, x_at, height, width, i0, lines, left, out, out_at, step):
    """`lines` lines from line i0 on, each behind `left` zeros, with zeros outside the image."""
    columns = min(width, step - left)
    for i in range(lines):
        to = out_at + i * step
        if i0 + i < 0 or i0 + i >= height:
            clear(step, out, to)
        else:
            for j in range(left):
                out[to + j] = 0
            copy(columns, x, x_at + (i0 + i) * width, 1, out, to + left, 1)
            for j in range(left + columns, step):
                out[to + j] = 0


@kernel(parallel=True)
def _multiply(x, w, y, y_step, plan, weights, epilogue, packed, work, share):
    """A share of (panel of tiles, group, outputs) blocks of y.

    Unless `w` is empty, it transforms the weights, too, if it is one part alone, or just before
    they are needed if there is one panel, for which they are needed once.
    """
    part, parts = share
    batch, inputs, outputs, group = plan.batch, plan.inputs, plan.outputs, plan.group
    out_height, out_width, down, across = plan.out_height, plan.out_width, plan.down, plan.across
    output_parts, x_plane = plan.output_parts, plan.height * plan.width
    per_vector = lanes(x)
    panel, count = plan.panel, batch * down * across
    row_tiles = -(-outputs // TILE_ROWS)
    lines_at = part * plan.size
    products_at = lines_at + 16 * panel
    input_at = products_at + POINTS * TILE_ROWS * panel
    input_step = (inputs + 1) * panel
    patches_at = input_at + POINTS * input_step
    transforms = w.size > 0 and plan.panels == 1
    if parts == 1 and w.size and not transforms:
        for item in range(group * row_tiles):
            _transform_weights(w, weights, plan, item, packed, work, 0)
    for item in prange(plan.items, share):
        output_part, g = item % output_parts, item // output_parts % group
        t0 = item // (output_parts * group) * panel
        t1 = min(t0 + panel, count)
        for c in range(inputs):
            transform_input(
                x, (g * inputs + c) * x_plane, plan, t0, t1,
                work, patches_at, input_at + c * panel, input_step,
            )  # fmt: skip
        first_tile = output_part * row_tiles // output_parts
        for m in range(first_tile, (output_part + 1) * row_tiles // output_parts):
            m0, m1 = m * outputs // row_tiles, (m + 1) * outputs // row_tiles
            if transforms:
                _transform_weights(w, weights, plan, g * row_tiles + m, packed, work, products_at)
            for p in range(POINTS):
                weights_at = p * plan.point_step + (g * outputs + m0) * inputs
                source, target = input_at + p * input_step, products_at + p * TILE_ROWS * panel
                if panel == per_vector:
                    narrow_tile(
                        m1 - m0, inputs, packed, weights_at, work, source, panel,
                        work, target, panel, panel, False,
                    )  # fmt: skip
                else:
                    tile(
                        m1 - m0, inputs, packed, weights_at, work, source, panel,
                        work, target, panel, panel, False,
                    )  # fmt: skip
            for r in range(m1 - m0):
                for v in range(0, t1 - t0, per_vector):
                    winograd_output(
                        work, products_at + r * panel + v, TILE_ROWS * panel,
                        epilogue, g * outputs + m0 + r,
                        work, lines_at + 4 * v, 4 * panel,
                    )  # fmt: skip
                t = t0
                while t < t1:
                    n, i, j = t // (down * across), t // across % down, t % across
                    run = min(across - j, t1 - t)
                    columns = min(4 * run, out_width - 4 * j)
                    top = n * y_step + (g * outputs + m0 + r) * out_height * out_width
                    for line in range(min(4, out_height - 4 * i)):
                        to = top + (4 * i + line) * out_width + 4 * j
                        source = lines_at + line * 4 * panel + 4 * (t - t0)
                        copy(columns, work, source, 1, y, to, 1)
                    t += run
