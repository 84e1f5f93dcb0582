"""The gradient to the weights of a direct convolution: sums over pixels of bands, see `_band`.

Rows of x, which lie in the band, are multiplied by columns of dy, which is transposed for each
block of rows. Where each pixel of x is looked at for one of y, rows are read from x itself; then x
and dy are alike, and the one of more channels is the rows.
"""

from typing import NamedTuple

import numpy as np

from ._band import band_of, copy_band
from ._jit import kernel, prange
from ._simd import add, clear, lanes
from ._tiles import PIXEL_ROWS, TILE_VECTORS, pixel_tile
from ._transpose import add_transposed, write_transposed
from ._workspace import add_by_parts
from .direct import BAND_BYTES

BAND_PIXELS = 1024
"""Most output pixels of a band, unless a line has more."""
DENSE_BYTES = 2 * BAND_BYTES
"""Aim for the size of the rows of a block where they are not copied."""
FEW = 8
"""Parts of a panel that outputs must fill one of: the rest of it is zeros."""


def pays(plane):
    """Whether enough of what is computed are outputs."""
    return FEW * plane.outputs > TILE_VECTORS * plane.lanes


def _is_dense(problem):
    """Whether each pixel of x is looked at for one of y."""
    alone = problem.kernel == problem.stride == (1, 1) and problem.pad == (0, 0)
    return alone and problem.size == problem.out


class Plan(NamedTuple):
    """Bands of `images` images and `lines` lines, and of `channels` channels of x at a time.

    `parts` threads share `items` (bands, group, channels) blocks; bands are cut in `image_parts`,
    whose sums are added up at the end. Outputs are padded to whole panels. If it is `turned`, x and
    dy, and inputs and outputs, have changed places. Where the `plane` is 0, there is no band, and
    `base` and `offsets` say where values are in x, from the first one that the block needs.
    """

    batch: int
    inputs: int
    outputs: int
    group: int
    height: int  # of y
    width: int
    positions: int
    images: int
    lines: int
    channels: int
    padded: int
    image_parts: int
    items: int
    parts: int
    size: int  # elements of work space for each part
    turned: bool
    plane: int  # elements of the band of a channel
    layout: np.ndarray
    offsets: np.ndarray
    base: np.ndarray

    way = "direct"


def plan(problem):
    """The blocks for a problem of two axes."""
    dense = _is_dense(problem)
    turned = dense and problem.outputs >= problem.inputs
    if turned:
        problem = problem.transposed()
    batch, inputs, outputs, group = problem[:4]
    (height, width), positions, threads = problem.out, problem.positions, problem.usable_threads
    panel, pixels = TILE_VECTORS * problem.lanes, height * width
    # few products per pixel: shorter bands of more channels, so that dy is transposed less often
    most = max(128, min(BAND_PIXELS, BAND_PIXELS * positions // 4))
    lines = max(1, min(height, most // width))
    line_blocks = -(-height // lines)
    lines = -(-height // line_blocks)
    image_parts = problem.sums(batch * line_blocks)
    images = max(1, min(-(-batch // image_parts), most // pixels))
    plane = images * band_of(problem, 1, 1, lines).plane
    budget = (DENSE_BYTES if dense else BAND_BYTES) // problem.itemsize
    channels = max(1, min(inputs, budget // plane))
    blocks = -(-inputs // channels)
    while blocks < inputs and image_parts * group * blocks % threads:
        blocks += 1
    channels = -(-inputs // blocks)
    items = image_parts * group * -(-inputs // channels)
    band = band_of(problem, channels, images, lines)
    if dense:
        image = np.arange(images)[:, None] * (group * inputs * pixels)
        base = (image + np.arange(lines * width)).reshape(-1)
        band = band._replace(base=base, offsets=np.arange(channels) * pixels, plane=0)
    padded = -(-outputs // panel) * panel
    size = channels * (positions * padded + images * band.plane)
    size += (images * lines * width + 1) * panel
    size += problem.lanes**2  # for `add_transposed`, where maps are tiny
    return Plan(
        batch, inputs, outputs, group, height, width, positions, images, lines, channels, padded,
        image_parts, items, min(threads, items), size, turned,
        band.plane, band.layout, band.offsets, band.base,
    )  # fmt: skip


def add_gradient(x, dy, dw, plan):
    """dw += gradient of sum(dy * conv(x, w)) to w."""
    run = _add_gradient.on(plan.parts)
    if plan.turned:
        x, dy = dy, x

    def add(work, target):
        run(x.reshape(-1), dy.reshape(-1), target, plan, work)

    add_by_parts(add, dw, plan.image_parts, plan.parts * plan.size)


@kernel(parallel=True)
def _add_gradient(x, dy, target, plan, work, share):
    """A share of (bands, group, channels) blocks of the gradient.

    What parts of the bands add up to is laid out as dw, one part behind another.
    """
    part = share[0]
    batch, inputs, outputs, group = plan.batch, plan.inputs, plan.outputs, plan.group
    height, width, images, lines = plan.height, plan.width, plan.images, plan.lines
    channels, positions, padded = plan.channels, plan.positions, plan.padded
    x_plane = plan.layout[0] * plan.layout[1]
    pixels, panel = height * width, TILE_VECTORS * lanes(x)
    blocks, line_blocks = -(-inputs // channels), -(-height // lines)
    bands = -(-batch // images) * line_blocks
    sums_at = part * plan.size
    columns_at = sums_at + channels * positions * padded
    band_at = columns_at + images * lines * width * panel
    for item in prange(plan.items, share):
        block, g, image_part = item % blocks, item // blocks % group, item // blocks // group
        c0 = block * channels
        c1 = min(c0 + channels, inputs)
        rows = (c1 - c0) * positions
        clear(rows * padded, work, sums_at)
        tiles = -(-rows // PIXEL_ROWS)
        first = image_part * bands // plan.image_parts
        last = (image_part + 1) * bands // plan.image_parts
        for band in range(first, last):
            n0, line = band // line_blocks * images, band % line_blocks * lines
            n1 = min(n0 + images, batch)
            count = min(lines, height - line) * width
            source, source_at = work, band_at
            if plan.plane == 0:
                source, source_at = x, ((n0 * group + g) * inputs + c0) * x_plane + line * width
            for n in range(n0, n1 if plan.plane else n0):
                copy_band(
                    x, ((n * group + g) * inputs + c0) * x_plane, plan.layout, c1 - c0, line,
                    work, band_at + (n - n0) * channels * plan.plane,
                )  # fmt: skip
            for m in range(0, outputs, panel):
                for n in range(n0, n1):
                    dy_at = ((n * group + g) * outputs + m) * pixels + line * width
                    write_transposed(
                        dy, dy_at, pixels, min(panel, outputs - m), count,
                        work, columns_at + (n - n0) * count * panel, panel,
                    )  # fmt: skip
                for t in range(tiles):
                    r0, r1 = t * rows // tiles, (t + 1) * rows // tiles
                    pixel_tile(
                        r1 - r0, (n1 - n0) * count, source, source_at, plan.base, 0,
                        plan.offsets, r0,
                        work, columns_at, work, sums_at + r0 * padded + m, padded,
                    )  # fmt: skip
        if plan.turned:
            at = ((image_part * group + g) * inputs + c0) * outputs
            for row in range(rows):
                add(outputs, work, sums_at + row * padded, 1, target, at + row * outputs, 1)
        else:
            add_transposed(
                work, sums_at, padded, rows, outputs,
                target, ((image_part * group + g) * outputs * inputs + c0) * positions,
                inputs * positions, columns_at,
            )  # fmt: skip
