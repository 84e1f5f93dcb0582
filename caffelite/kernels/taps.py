"""Convolution over small maps: a matrix product for each pixel of y and each tap that it sees.

A tap is a position of the kernel; under it lies a pixel of x, or none, beyond the edge. All images
at once, a pixel times the weights of a tap is a matrix product, and each pixel of y is the sum of
such products. So nothing is multiplied by padding, which small maps have much of, and lanes of
vectors are outputs, of which there are enough where lines are short. The same products, added up
for each pixel of x or for each tap, are the gradients; with strides, too, in any number of axes.
Both factors are packed by pixel or tap before; sums are turned when they are stored.
"""

import math
from typing import NamedTuple

import numpy as np

from ._channel_passes import channel_map
from ._jit import kernel, prange
from ._problem import in_one_row, uneven
from ._simd import clear, lanes
from ._tiles import TILE_ROWS, TILE_VECTORS, tile
from ._transpose import add_transposed, transpose_all
from ._vectors import VECTOR_BYTES
from ._workspace import aligned, workspace

CELLS = 64
"""Sums of a tile that lie beside each other before they are stored."""
IMAGES = 4
"""Fewer images than this leave most of a register tile empty."""
PACKED_BYTES = 1 << 24
"""Most of the packed maps, which are those of some of many images: work space is kept for long."""
DEPTH = 16
"""Products at once, of inputs and taps of a line, or of outputs, that pay for calling a tile."""
MEETINGS = 1 << 17
"""Pixels of y and taps that meet up to which this pays: the table has 24 bytes for each."""
MOST = {
    "direct": 0.9,
    "strided direct": 0.96,
    "turned": 0.8,
    "strided turned": 0.92,
    "im2col": 0.96,
    "phases": 1.0,
    "scatter": 1.2,
}
"""Products up to which this is faster than another way, for one of all taps at all pixels."""
MOST_OF_WINOGRAD = 1.8
"""As MOST, for one of Winograd's."""
MOST_FOR_WEIGHTS = dict.fromkeys(MOST, 0.9)
MOST_IN_SHORT_VECTORS = dict.fromkeys(MOST, 0.75)
"""As MOST, for the gradient to the weights: where vectors have 64 bytes, and where fewer."""
LONG_RUN = 32
"""Images from which on that gradient pays with strides, which cut the depth of its products."""


class Factor(NamedTuple):
    """One factor of all products: line i, at step k of the depth, of pixel or tap `at` lies at
    start + g * group_step + i * line_step + k * depth_step + at, or from the last `at` backward."""

    lines: int
    depth: int
    places: int  # pixels or taps
    start: int
    group_step: int
    line_step: int
    depth_step: int
    backward: bool


class Sums(NamedTuple):
    """What is added up: `cells` sums of products of `rows` by `depth` by `columns`, and where to.

    Of cell i, the runs first[i] to first[i + 1] have each (place of the first factor, of the
    second, how many that follow in both). It is stored at g * group_step + row * row_step + column
    * column_step + i.
    """

    rows: int
    columns: int
    depth: int
    group: int
    cells: int
    chunk: int  # cells of a piece
    left_places: int
    right_places: int
    group_step: int
    row_step: int
    column_step: int
    adds: bool  # to what is there
    stage_at: int  # in the work space, behind the first factor
    stage: int  # elements of it for each part
    first: np.ndarray
    runs: np.ndarray


class Plan(NamedTuple):
    """The first factor, of `images` images at a time, and the sums of its products with the second.

    So many pixels of y and taps are `meetings`, with a pixel of x each. `parts` threads share
    `items` pieces: a tile of rows, a panel of columns, a chunk of cells.
    """

    images: int
    group: int
    inputs: int
    outputs: int
    meetings: int
    items: int
    parts: int
    size: int  # elements of work space, without those
    panels: int  # of the second factor, packed
    left: Factor
    sums: Sums

    way = "taps"
    adds = False
    strided = True


def fits(problem):
    """Whether windows have more than one tap."""
    return problem.positions > 1


def pays(problem, planned):
    """Whether one that fits gains over `planned`, the Plan of another way."""
    return _pays(problem, problem.outputs, _depth(problem), planned, MOST)


def pays_back(problem, planned):
    """As `pays`, for the gradient to the input."""
    return _pays(problem, problem.inputs, problem.outputs, planned, MOST)


def pays_for_weights(problem, planned):
    """As `pays`, for the gradient to the weights."""
    most = MOST_FOR_WEIGHTS if problem.vector_bytes >= 64 else MOST_IN_SHORT_VECTORS
    is_long = problem.stride[-1] == 1 or _at_once(problem) >= LONG_RUN
    return is_long and _pays(problem, problem.outputs, _depth(problem), planned, most)


def _depth(problem):
    """Products at once where taps of a line follow each other."""
    return problem.inputs * problem.kernel[-1]


def _pays(problem, columns, depth, planned, most):
    """Whether products of so many columns and of this depth at once are few enough."""
    panel = TILE_VECTORS * problem.lanes
    meetings = math.prod(map(_meeting, _axes(problem)))
    if _at_once(problem) < IMAGES or meetings > MEETINGS:
        return False
    products = meetings * -(-columns // panel) * panel / columns
    if (of := _winograd_of(planned)) is not None:
        return products * problem.inputs * problem.outputs <= MOST_OF_WINOGRAD * of.products
    if planned.way == "im2col" and problem.pixels <= panel:
        return True  # windows of short lines take longest to write
    strided = f"strided {planned.way}" if problem.stride[-1] > 1 else planned.way
    most = most.get(strided, most.get(planned.way, 0))
    return depth >= DEPTH and products <= most * problem.pixels * problem.positions


def _at_once(problem):
    """Into how many images the batch is divided, all of it if their maps are not too large."""
    maps = problem.inputs * math.prod(problem.size), problem.outputs * problem.pixels
    most = PACKED_BYTES // (problem.itemsize * problem.group * max(maps))
    batch = problem.batch
    return next((n for n in range(min(most, batch), 0, -1) if batch % n == 0), 1)


def _winograd_of(planned):
    """The Plan by Winograd's algorithm that another is or goes by, or None."""
    for part in getattr(planned, "made", ()):
        planned = part.convolution
    planned = getattr(planned, "convolution", planned)
    return planned if planned.way == "winograd" else None


def _axes(problem):
    """(size, pixels of y, taps, stride, pad, dilation) of each axis."""
    of = problem.size, problem.out, problem.kernel, problem.stride, problem.pad, problem.dilation
    return list(zip(*of, strict=True))


def _meeting(axis):
    """How many pixels of y and taps meet within an axis."""
    size, out, taps, stride, pad, dilation = axis
    shift = np.arange(taps) * dilation - pad
    low, high = -(shift // stride), (size - 1 - shift) // stride
    return int(np.maximum(np.minimum(high, out - 1) - np.maximum(low, 0) + 1, 0).sum())


def _along(axis):
    """(pixels of y, pixels of x, taps) that meet within an axis."""
    size, out, taps, stride, pad, dilation = axis
    at = np.arange(out)[:, None] * stride + np.arange(taps) * dilation - pad
    y, tap = np.nonzero((at >= 0) & (at < size))
    return y, at[y, tap], tap


def _meetings(problem):
    """(pixels of y, pixels of x, taps) that meet, in one array."""
    met = np.zeros((3, 1), np.int64)
    for axis in _axes(problem):
        size, out, taps, *_ = axis
        lengths = np.array([[out], [size], [taps]])
        met = met[:, :, None] * lengths[:, None] + np.array(_along(axis))[:, None]
        met = met.reshape(3, -1)
    return met


def _runs(count, cells, left, right):
    """The `first` and `runs` of `Sums`, of places that meet for `count` cells."""
    order = np.lexsort((right, cells))
    cells, left, right = cells[order], left[order], right[order]
    starts = np.ones(len(cells), bool)
    starts[1:] = (np.diff(cells) != 0) | (np.diff(left) != 1) | (np.diff(right) != 1)
    starts = np.flatnonzero(starts)
    lengths = np.diff(starts, append=len(cells))
    first = np.searchsorted(cells[starts], np.arange(count + 1))
    return first, np.stack([left[starts], right[starts], lengths], axis=1).reshape(-1)


def _maps(images, channels, pixels, group, by_channel):
    """Maps as a factor whose lines are images and whose depth is channels, or `by_channel`."""
    shape, steps = (images, channels), (group * channels * pixels, pixels)
    if by_channel:
        shape, steps = shape[::-1], steps[::-1]
    return Factor(*shape, pixels, 0, channels * pixels, *steps, False)


def plan(problem):
    """The products for a problem that `fits`: pixels of y are sums of pixels of x times taps."""
    inputs, outputs, group = problem[1:4]
    left = _maps(_at_once(problem), inputs, math.prod(problem.size), group, False)
    pixels = problem.pixels
    steps = outputs * pixels, group * outputs * pixels, pixels
    return _plan(problem, left, outputs, pixels, problem.positions, steps, _meetings(problem))


def plan_back(problem):
    """Those of the gradient to the input: pixels of x are sums of pixels of y times taps."""
    inputs, outputs, group = problem[1:4]
    left = _maps(_at_once(problem), outputs, problem.pixels, group, False)
    pixels, met = math.prod(problem.size), _meetings(problem)[[1, 0, 2]]
    steps = inputs * pixels, group * inputs * pixels, pixels
    return _plan(problem, left, inputs, pixels, problem.positions, steps, met)


def plan_weights(problem):
    """Those of the gradient to the weights: taps are sums of pixels of x times pixels of y."""
    inputs, outputs, group = problem[1:4]
    left = _maps(_at_once(problem), inputs, math.prod(problem.size), group, True)
    taps, met = problem.positions, _meetings(problem)[::-1]
    steps = outputs * inputs * taps, taps, inputs * taps
    return _plan(problem, left, outputs, taps, problem.pixels, steps, met, True)


def _plan(problem, left, columns, cells, right_places, steps, met, adds=False):
    """The Plan for a left factor and `met`: (cells, left places, right places) that meet.

    `steps` are those from group to group, row to row and column to column of what is made.
    """
    panel, group = TILE_VECTORS * problem.lanes, problem.group
    first, runs = _runs(cells, *met)
    tiles, panels = -(-left.lines // TILE_ROWS), -(-columns // panel)
    blocks, threads = group * tiles * panels, problem.usable_threads
    chunks = -(-cells // CELLS)
    while chunks < cells and uneven(blocks * chunks, threads):
        chunks += 1
    chunk = -(-cells // chunks)
    items = blocks * -(-cells // chunk)
    parts = min(threads, items)
    packed = group * left.lines * left.depth * left.places
    stage = min(left.lines, TILE_ROWS) * chunk * panel + problem.lanes**2
    sums = Sums(
        left.lines, columns, left.depth, group, cells, chunk, left.places, right_places, *steps,
        adds, packed, stage, first, runs,
    )  # fmt: skip
    return Plan(
        _at_once(problem), group, problem.inputs, problem.outputs, met.shape[1], items, parts,
        packed + parts * stage, group * panels * panel * left.depth * right_places, left, sums,
    )  # fmt: skip


def multiply(x, w, y, plan, weights, epilogue):
    """y = weights times windows of x, and an epilogue; `weights` is the WeightLayout of w."""
    work = workspace(x.dtype, plan.size + plan.panels)
    _pack_panels(w, _weights(plan, weights), plan, work, plan.size)
    _multiply_images(x, work, plan.size, y, plan, work, epilogue)


def pack(w, plan, weights):
    """All weights, packed; `weights` is their WeightLayout."""
    packed = aligned(w.dtype, plan.panels)
    _pack_panels(w, _weights(plan, weights), plan, packed, 0)
    return packed


def unpack(packed, plan, w):
    """Weights as they were before `pack`."""
    taps, depth = plan.sums.right_places, plan.sums.depth
    whole = packed.reshape(plan.group, -1, taps, depth, TILE_VECTORS * VECTOR_BYTES // w.itemsize)
    every = whole.transpose(0, 1, 4, 3, 2).reshape(plan.group, -1, depth, taps)
    w.reshape(plan.group, plan.outputs, depth, taps)[...] = every[:, : plan.outputs]


def multiply_packed(x, packed, y, plan, weights, epilogue):
    """`multiply` by weights that `pack` has packed."""
    _multiply_images(x, packed, 0, y, plan, workspace(x.dtype, plan.size), epilogue)


def scatter(w, dy, dx, plan):
    """dx = gradient of sum(dy * conv(x, w)) to x; assigned."""
    outputs, inputs, taps = plan.outputs, plan.inputs, plan.sums.right_places
    step = inputs * taps
    work = workspace(dx.dtype, plan.size + plan.panels)
    right = Factor(inputs, outputs, taps, 0, outputs * step, taps, step, False)
    _pack_panels(w, right, plan, work, plan.size)
    _multiply_images(dy, work, plan.size, dx, plan, work)


def add_gradient(x, dy, dw, plan):
    """dw += gradient of sum(dy * conv(x, w)) to w."""
    work = workspace(dw.dtype, plan.size + plan.panels)
    right = _maps(plan.images, plan.outputs, plan.sums.right_places, plan.group, True)
    for some_x, some_dy in _by_images(plan, x, dy):
        _pack_panels(some_dy, right, plan, work, plan.size)
        _pack.on(plan.parts)(some_x.reshape(-1), plan.left, plan.group, False, work, 0)
        _multiply.on(plan.parts)(work, work, plan.size, dw.reshape(-1), plan.sums)


def _by_images(plan, one, two):
    """Two arrays, so many images of each at a time."""
    for n in range(0, len(one), plan.images):
        yield one[n : n + plan.images], two[n : n + plan.images]


def _pack_panels(values, of, plan, out, out_at):
    _pack.on(plan.parts)(values.reshape(-1), of, plan.group, True, out, out_at)


def _multiply_images(x, packed, packed_at, y, plan, work, epilogue=None):
    """y = the sums for maps of x and the second factor, and an epilogue."""
    for some_x, some_y in _by_images(plan, x, y):
        _pack.on(plan.parts)(some_x.reshape(-1), plan.left, plan.group, False, work, 0)
        some_y, step = in_one_row(some_y)
        sums = plan.sums._replace(row_step=step)  # images of y may lie apart
        _multiply.on(plan.parts)(work, packed, packed_at, some_y, sums)
        if epilogue is not None and epilogue.slope.size:
            _finish.on(plan.parts)(some_y, sums, epilogue)


def _weights(plan, layout):
    """The weights of a WeightLayout as a factor."""
    start, group_step, output_step, input_step, position_step, inputs, taps = layout
    backward = position_step < 0
    start -= (taps - 1) * backward
    return Factor(
        plan.sums.columns, inputs, taps, start, group_step, output_step, input_step, backward
    )


@kernel(parallel=True)
def _pack(values, of, group, in_panels, out, out_at, share):
    """Pack a factor by group, block of lines, place, step of the depth and line of the block.

    Blocks are panels of columns, the last of them with zeros, or even tiles of rows.
    """
    lines, depth, places = of.lines, of.depth, of.places
    panel = TILE_VECTORS * lanes(out)
    blocks = -(-lines // (panel if in_panels else TILE_ROWS))
    for item in prange(group * blocks * depth, share):
        block, k = item // depth, item % depth
        g, b = block // blocks, block % blocks
        if in_panels:
            first, last = b * panel, min(b * panel + panel, lines)
            width, to = panel, block * panel
        else:
            first, last = b * lines // blocks, (b + 1) * lines // blocks
            width, to = last - first, g * lines + first
        to, step = out_at + to * depth * places + k * width, width * depth
        if of.backward:
            to, step = to + (places - 1) * step, -step
        start = of.start + g * of.group_step + first * of.line_step + k * of.depth_step
        transpose_all(values, start, of.line_step, last - first, places, out, to, step)
        if last - first < width:
            for place in range(places):
                clear(width - last + first, out, to + place * step + last - first)


@kernel(parallel=True)
def _multiply(work, packed, packed_at, out, sums, share):
    """A share of the pieces of (group, tile of rows, panel of columns, chunk of cells)."""
    part = share[0]
    rows, columns, depth, cells, chunk = sums.rows, sums.columns, sums.depth, sums.cells, sums.chunk
    first, runs = sums.first, sums.runs
    panel = TILE_VECTORS * lanes(work)
    tiles, panels, chunks = -(-rows // TILE_ROWS), -(-columns // panel), -(-cells // chunk)
    step = chunk * panel
    square_at = sums.stage_at + part * sums.stage
    stage_at = square_at + lanes(work) ** 2
    for item in prange(sums.group * tiles * panels * chunks, share):
        cell0 = item % chunks * chunk
        cell1 = min(cell0 + chunk, cells)
        p, block = item // chunks % panels, item // (chunks * panels)
        g, t = block // tiles, block % tiles
        row0, row1 = t * rows // tiles, (t + 1) * rows // tiles
        height, width = row1 - row0, min(panel, columns - p * panel)
        left_at = (g * rows + row0) * sums.left_places * depth
        right_at = packed_at + (g * panels + p) * sums.right_places * depth * panel
        for cell in range(cell0, cell1):
            to = stage_at + (cell - cell0) * panel
            if first[cell] == first[cell + 1]:
                for r in range(height):
                    clear(panel, work, to + r * step)
            for run in range(first[cell], first[cell + 1]):
                left, right, length = runs[3 * run], runs[3 * run + 1], runs[3 * run + 2]
                tile(
                    height, length * depth, work, left_at + left * depth * height,
                    packed, right_at + right * depth * panel, panel,
                    work, to, step, panel, run > first[cell],
                )  # fmt: skip
        target = g * sums.group_step + p * panel * sums.column_step + cell0
        for r in range(height):
            at, to = stage_at + r * step, target + (row0 + r) * sums.row_step
            if sums.adds:
                add_transposed(
                    work, at, panel, cell1 - cell0, width, out, to, sums.column_step, square_at
                )
            else:
                transpose_all(work, at, panel, cell1 - cell0, width, out, to, sums.column_step)


@kernel(parallel=True)
def _finish(y, sums, epilogue, share):
    """What the epilogue makes of each channel of y."""
    for c in prange(sums.group * sums.columns, share):
        at = c * sums.cells
        channel_map(sums.rows, sums.cells, sums.row_step, y, at, epilogue, c, y, at)
