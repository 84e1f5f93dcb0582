"""The gradient to the weights of a 3 by 3 convolution by Winograd's algorithm.

The transpose of `winograd`'s forward: a window's gradient is G' [ sum over tiles of (A e A') *
(B' d B) ] G for 4 by 4 tiles e of the top's gradient and the 6 by 6 patches d below them. For each
of the 36 points, the sum over tiles of many inputs and outputs is a matrix product.
"""

import math

import numpy as np

from ._jit import kernel, prange, thread_count
from ._simd import VECTOR_BYTES, clear, copy, lanes
from ._tiles import PIXEL_ROWS, TILE_VECTORS, pixel_tile
from ._winograd_tiles import winograd_gradient, winograd_window
from ._workspace import workspace
from .direct import SMALL_WEIGHTS, add_turned, turn
from .gemm import spaced
from .winograd import POINTS, lines_size, transform_input

TILES = 64
"""Tiles summed at a time: with CHANNELS inputs, their transforms fit in a 1 MB L2 cache."""
CHANNELS = 48
"""Most inputs at a time."""
MIN_CHANNELS = 64
"""Fewer inputs or outputs than this do not pay for the transforms."""


def pays(geometry, x, sizes):
    """Whether a convolution that `winograd.fits` is large enough to gain."""
    inputs, outputs, _ = sizes
    wide = min(inputs, outputs) >= MIN_CHANNELS and min(geometry[1]) >= 4
    return wide and x.dtype == np.float32


def backward_weight(x, dy, dw, geometry, group):
    """dw += gradient of sum(dy * conv(x, w)) to w; `geometry` is one that `winograd.fits`."""
    batch, inputs, outputs = x.shape[0], dw.shape[1], dw.shape[0] // group
    threads = thread_count(dy.size * math.prod(dw.shape[1:]))
    per_vector = VECTOR_BYTES // x.itemsize
    panel = TILE_VECTORS * per_vector
    (height, width), (out_height, out_width), _, _, (above, left), _ = geometry
    down, across = -(-out_height // 4), -(-out_width // 4)
    count = batch * down * across
    panels = -(-outputs // panel)
    blocks = -(-inputs // CHANNELS)
    parts = min(threads, -(-count // TILES)) if dw.size <= SMALL_WEIGHTS else 1
    while blocks < inputs and parts * group * blocks % threads:
        blocks += 1
    channels = -(-inputs // blocks)
    chunk = min(parts * TILES, count)
    slices = -(-threads // (group * panels))
    # steps are odd numbers of vectors, so that the points of a tile spread over cache sets
    steps = [
        spaced(size, per_vector)
        for size in (chunk * panel, channels * (TILES + per_vector), channels * panel)
    ]
    lines = lines_size(TILES, across, per_vector)
    sizes = np.array(
        (batch, inputs, outputs, group, height, width, out_height, out_width, down, across)
        + (above, left, channels, panels, parts, chunk, slices, *steps, lines),
        np.int64,
    )
    size = lines + POINTS * (steps[1] + steps[2]) + 9 * channels * panel
    size = max(size, (4 * out_width + 16) * panel)
    gradients = POINTS * group * panels * steps[0]
    sums = parts * dw.size if parts > 1 else 0
    work = workspace(x.dtype, gradients + threads * size + sums)
    target = work[gradients + threads * size :][:sums] if sums else dw.reshape(-1)
    target[:sums] = 0
    rows, pixels = np.arange(channels) * (TILES + per_vector), np.arange(TILES)
    run = _sum_products.on(threads)
    run(
        x.reshape(-1), dy.reshape(-1), target, sizes, rows, pixels, work, gradients, size, threads
    )  # fmt: skip
    for part in target[:sums].reshape(-1, *dw.shape):
        dw += part


@kernel
def _transform_gradients(dy, sizes, t0, t1, item, work, turned_at):
    """Transform one slice of tiles t0 <= t < t1 for one panel of outputs: point, tile, output."""
    outputs, group = sizes[2], sizes[3]
    height, width, down, across = sizes[6:10]
    panels, slices, step = sizes[13], sizes[16], sizes[17]
    panel = TILE_VECTORS * lanes(dy)
    patch_at = turned_at + 4 * width * panel
    part, m, g = item % slices, item // slices % panels, item // (slices * panels)
    rows = min(panel, outputs - m * panel)
    t, last = t0 + part * (t1 - t0) // slices, t0 + (part + 1) * (t1 - t0) // slices
    while t < last:
        n, i = t // (down * across), t // across % down
        lines = min(4, height - 4 * i)
        source = (((n * group + g) * outputs + m * panel) * height + 4 * i) * width
        turn(dy, source, height * width, rows, lines * width, work, turned_at, panel)
        for j in range(t % across, min(across, t % across + last - t)):
            to = (g * panels + m) * POINTS * step + (t - t0) * panel
            columns = min(4, width - 4 * j)
            at, line = turned_at + 4 * j * panel, width * panel
            if lines < 4 or columns < 4:
                clear(16 * panel, work, patch_at)
                for k in range(lines):
                    copy(columns * panel, work, at + k * line, 1, work, patch_at + 4 * k * panel, 1)
                at, line = patch_at, 4 * panel
            for v in range(0, panel, lanes(dy)):
                winograd_gradient(work, at + v, line, panel, work, to + v, step)
            t += 1


@kernel
def _add_products(x, target, sizes, rows, pixels, t0, item, work, work_at):
    """Add the products of one part of the tiles from t0 on, for one block of inputs.

    The sums of a part are those of dw: group and output, input, tap. Parts lie one behind another.
    """
    batch, inputs, outputs, group, height, width = sizes[:6]
    down, across, above, left, channels, panels, _, chunk = sizes[8:16]
    gradient_step, input_step, total_step, lines = sizes[17:]
    panel, per_vector = TILE_VECTORS * lanes(x), lanes(x)
    blocks = -(-inputs // channels)
    block, g, part = item % blocks, item // blocks % group, item // (blocks * group)
    c0, c1 = block * inputs // blocks, (block + 1) * inputs // blocks
    count, tiles = c1 - c0, -(-(c1 - c0) // PIXEL_ROWS)
    first = t0 + part * TILES
    last = min(first + TILES, min(t0 + chunk, batch * down * across))
    plane = height, width, down, across, above, left
    input_at = work_at + lines
    totals_at = input_at + POINTS * input_step
    windows_at = totals_at + POINTS * total_step
    for c in range(count):
        transform_input(
            x, (g * inputs + c0 + c) * height * width, group * inputs * height * width, plane,
            first, last, work, work_at, input_at + c * (TILES + per_vector), input_step,
        )  # fmt: skip
    for m in range(panels):
        clear(POINTS * total_step, work, totals_at)
        for p in range(POINTS):
            right = ((g * panels + m) * POINTS + p) * gradient_step + (first - t0) * panel
            for k in range(tiles):
                r0, r1 = k * count // tiles, (k + 1) * count // tiles
                pixel_tile(
                    r1 - r0, last - first, work, input_at + p * input_step, pixels, 0, rows, r0,
                    work, right, work, totals_at + p * total_step + r0 * panel, panel,
                )  # fmt: skip
        for c in range(count):
            for v in range(0, panel, per_vector):
                winograd_window(
                    work, totals_at + c * panel + v, total_step,
                    work, windows_at + 9 * c * panel + v, panel,
                )  # fmt: skip
        row = (part * group + g) * outputs + m * panel
        add_turned(
            work, windows_at, panel, 9 * count, min(panel, outputs - m * panel),
            target, (row * inputs + c0) * 9, inputs * 9, totals_at,
        )  # fmt: skip


@kernel(parallel=True)
def _sum_products(x, dy, target, sizes, rows, pixels, work, work_at, size, threads):
    batch, inputs, _, group = sizes[:4]
    count, channels, panels = batch * sizes[8] * sizes[9], sizes[12], sizes[13]
    parts, chunk, slices = sizes[14:17]
    gradients, products = group * panels * slices, parts * group * -(-inputs // channels)
    for t0 in range(0, count, chunk):
        t1 = min(t0 + chunk, count)
        for thread in prange(threads):
            own = work_at + np.int64(thread) * size
            for item in range(thread * gradients // threads, (thread + 1) * gradients // threads):
                _transform_gradients(dy, sizes, t0, t1, item, work, own)
        for thread in prange(threads):
            own = work_at + np.int64(thread) * size
            for item in range(thread * products // threads, (thread + 1) * products // threads):
                _add_products(x, target, sizes, rows, pixels, t0, item, work, own)
