"""The gradient to the weights of a convolution by im2col: rows of dy times rows of windows."""

from typing import NamedTuple

import numpy as np

from ._jit import kernel, prange
from ._simd import lanes
from ._tiles import DOT_COLUMNS
from ._workspace import add_by_parts
from .gemm import multiply_rows, spaced
from .im2col import IN, KERNEL, OUT, im2col_block
from .im2col_multiply import BLOCK_BYTES, copy_rows

ROW_BLOCK = 64
"""Rows of dy per block."""


class Plan(NamedTuple):
    """Blocks of `row_block` rows and `column_block` columns of the windows of `images` images.

    Images are cut in `image_parts`, whose sums are added up at the end.
    """

    batch: int
    inputs: int
    outputs: int
    group: int
    images: int
    row_block: int
    column_block: int
    image_parts: int
    output_parts: int
    items: int
    parts: int
    size: int  # elements of work space for each part
    geometry: np.ndarray

    way = "im2col"


def plan(problem):
    """The blocks for any problem."""
    batch, inputs, outputs, group = problem[:4]
    rows, pixels, threads = problem.depth, problem.pixels, problem.usable_threads
    row_block = min(rows, 22 * DOT_COLUMNS)
    column_block = max(BLOCK_BYTES // 2 // problem.itemsize // row_block, 512)
    images = max(1, min(batch, column_block // pixels))
    column_block = images * pixels if images > 1 else min(column_block, pixels)
    size = spaced(column_block, problem.lanes) * (row_block + ROW_BLOCK)
    blocks = group * -(-rows // row_block)
    image_parts = problem.sums(-(-batch // images))
    output_parts = 1
    if image_parts * blocks < threads:
        output_parts = min(-(-outputs // ROW_BLOCK), -(-threads // (image_parts * blocks)))
    items = image_parts * blocks * output_parts
    return Plan(
        batch, inputs, outputs, group, images, row_block, column_block, image_parts, output_parts,
        items, max(1, min(threads, items)), size, problem.geometry,
    )  # fmt: skip


def add_gradient(x, dy, dw, plan):
    """dw += gradient of sum(dy * conv(x, w)) to w."""
    run = _add_gradient.on(plan.parts)
    offsets = np.empty((plan.parts, plan.geometry.shape[1]), np.int64)

    def add(work, target):
        run(x.reshape(-1), dy.reshape(-1), target, plan, work, offsets)

    add_by_parts(add, dw, plan.image_parts, plan.parts * plan.size)


@kernel(parallel=True)
def _add_gradient(x, dy, target, plan, work, offsets, share):
    """A share of (images, group, rows of windows, outputs) blocks of dw."""
    part = share[0]
    batch, inputs, outputs, group = plan.batch, plan.inputs, plan.outputs, plan.group
    images, column_block, geometry = plan.images, plan.column_block, plan.geometry
    image_parts, output_parts = plan.image_parts, plan.output_parts
    plane, pixels = geometry[IN].prod(), geometry[OUT].prod()
    rows = inputs * geometry[KERNEL].prod()
    row_blocks = -(-rows // plan.row_block)
    step = spaced(column_block, lanes(x))
    columns_at = part * plan.size
    dy_at = columns_at + plan.row_block * step
    image_blocks = -(-batch // images)
    for item in prange(plan.items, share):
        output_part, rest = item % output_parts, item // output_parts
        k0, rest = rest % row_blocks * plan.row_block, rest // row_blocks
        g, image_part = rest % group, rest // group
        k1 = min(k0 + plan.row_block, rows)
        m0 = output_part * outputs // output_parts
        m1 = (output_part + 1) * outputs // output_parts
        sums_at = (image_part * group + g) * outputs * rows
        first = image_part * image_blocks // image_parts * images
        last = min((image_part + 1) * image_blocks // image_parts * images, batch)
        for n0 in range(first, last, images):
            n1 = min(n0 + images, last)
            for p0 in range(0, pixels, column_block):
                p1 = min(p0 + column_block, pixels)
                for n in range(n0, n1):
                    im2col_block(
                        x, (n * group + g) * inputs * plane, geometry, k0, k1, p0, p1,
                        work, columns_at + (n - n0) * pixels, step, offsets[part],
                    )  # fmt: skip
                for i0 in range(m0, m1, ROW_BLOCK):
                    i1 = min(i0 + ROW_BLOCK, m1)
                    for n in range(n0, n1):
                        source = ((n * group + g) * outputs + i0) * pixels + p0
                        copy_rows(
                            i1 - i0, p1 - p0, dy, source, pixels,
                            work, dy_at + (n - n0) * pixels, step, False,
                        )  # fmt: skip
                    multiply_rows(
                        i1 - i0, k1 - k0, (n1 - n0) * (p1 - p0), work, dy_at, step,
                        work, columns_at, step, target, sums_at + i0 * rows + k0, rows,
                    )  # fmt: skip
