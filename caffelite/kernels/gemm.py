"""Matrix products: C = A B or C += A B, with transposes, for row-major float32 and float64.

A is packed into tiles of up to TILE_ROWS rows (depth by rows), B into rows at an odd number of
cache lines from each other; a register tile then runs over both. Threads split C, never the
sum over k, so results do not depend on the number of threads.
"""

from typing import NamedTuple

import numpy as np

from ._jit import kernel, thread_count
from ._simd import clear, copy, lanes
from ._tiles import DOT_COLUMNS, DOT_ROWS, TILE_ROWS, TILE_VECTORS, dot_tile, tile, transpose
from ._vectors import VECTOR_BYTES
from ._workspace import workspace

SMALL = 1 << 15
"""Multiplications up to which NumPy's product, in this thread, takes 3 to 9 us where a compiled one
takes 6 to 14 for its many arguments. Of other kernels, none was slower than NumPy at any size."""
DEPTH_BLOCK = 256
ROW_BLOCK = 16 * TILE_ROWS
PANEL_BLOCK = 12
"""Panels (TILE_VECTORS vectors) of B packed at a time: with a block of A they fit in L2."""
FEW_TILES = 8
"""Tiles packed at once from columns: as many places to write to as a cache has ways."""
DOT_LIMIT = 2 * TILE_ROWS
"""Up to this many rows A B' runs as dot products, which spares packing B."""


class Product(NamedTuple):
    """C (m by n) (+)= A (m by k) B, in 1-D arrays: steps from row to row and column to column.

    C is cut in row_parts * column_parts rectangles.
    """

    m: int
    n: int
    k: int
    a_row_step: int
    a_column_step: int
    b_row_step: int
    b_column_step: int
    c_row_step: int
    accumulate: bool
    row_parts: int
    column_parts: int
    size: int  # elements of work space for each part


def gemm(a, b, out, trans_a=False, trans_b=False, accumulate=False):
    """out = A B, or out += A B, where A is `a` or its transpose and B is `b` or its transpose.

    Parameters
    ----------
    a, b, out : 2-D arrays of one dtype, float32 or float64
        Rows may be apart (`a[:, 2:5]`); elements of a row are contiguous.
    """
    m, n = out.shape
    k = a.shape[0] if trans_a else a.shape[1]
    if m == 0 or n == 0:
        return
    if m * n * k <= SMALL:
        _small(a.T if trans_a else a, b.T if trans_b else b, out, accumulate)
        return
    a_step, b_step, c_step = (_row_step(x) for x in (a, b, out))
    a_rs, a_cs = (1, a_step) if trans_a else (a_step, 1)
    b_rs, b_cs = (1, b_step) if trans_b else (b_step, 1)
    row_parts, column_parts = _split(m, n, thread_count(m * n * k))
    parts = row_parts * column_parts
    size = work_size(-(-m // row_parts), -(-n // column_parts), k, out.itemsize)
    product = Product(
        m, n, k, a_rs, a_cs, b_rs, b_cs, c_step, accumulate, row_parts, column_parts, size
    )
    work = workspace(out.dtype, size * parts)
    _gemm.on(parts)(_flat(a), _flat(b), _flat(out), product, work)


@np.errstate(all="ignore")  # as kernels are about what is infinite or no number
def _small(a, b, out, accumulate):
    if accumulate:
        out += a @ b
    else:
        np.matmul(a, b, out=out)


def _row_step(x):
    return x.strides[0] // x.itemsize if x.shape[0] > 1 else max(x.shape[1], 1)


def _flat(x):
    """The memory that a 2-D array spans, as a 1-D array."""
    if x.flags.c_contiguous:
        return x.reshape(-1)
    span = (x.shape[0] - 1) * (x.strides[0] // x.itemsize) + x.shape[1]
    return np.lib.stride_tricks.as_strided(x, (span,), (x.itemsize,))


def _split(m, n, threads):
    """How many parts of rows and of columns to cut C into: about a part per thread."""
    if threads == 1:
        return 1, 1
    row_tiles, column_tiles = -(-m // TILE_ROWS), -(-n // 32)
    best = min(
        ((r, -(-threads // r)) for r in range(1, threads + 1)),
        key=lambda p: -(-row_tiles // p[0]) * -(-column_tiles // p[1]) * TILE_ROWS * 32
        + m // p[0] + n // p[1],
    )  # fmt: skip
    return min(best[0], row_tiles), min(best[1], column_tiles)


def work_size(m, n, k, itemsize):
    """Elements of work space that an m by n rectangle of C needs."""
    panel = TILE_VECTORS * VECTOR_BYTES // itemsize
    depth = min(k, DEPTH_BLOCK)
    columns = min(-(-n // panel), PANEL_BLOCK) * panel
    return min(m, ROW_BLOCK) * depth + depth * spaced(columns, VECTOR_BYTES // itemsize) + panel


@kernel
def spaced(columns, per_line):
    """Row length of at least `columns`, an odd number of vectors: rows spread over cache sets."""
    return (-(-columns // per_line) | 1) * per_line


@kernel
def pack_rows(a, a_at, a_rs, a_cs, m, k, out, out_at):
    """Copy A (m by k) as tiles of up to TILE_ROWS rows: tile, then k, then row in the tile."""
    tiles = -(-m // TILE_ROWS)
    if a_rs == 1:
        for t in range(0, tiles, FEW_TILES):
            pack_tiles(a, a_at, a_cs, m, k, t, min(t + FEW_TILES, tiles), out, out_at)
        return
    for t in range(tiles):
        first, last = t * m // tiles, (t + 1) * m // tiles
        rows, start = last - first, out_at + first * k
        for r in range(rows):
            copy(k, a, a_at + (first + r) * a_rs, a_cs, out, start + r, rows)


@kernel
def pack_tiles(a, a_at, a_cs, m, k, t0, t1, out, out_at):
    """`pack_rows` of tiles t0..t1 where the values of a column of A lie beside each other.

    Columns may be far apart, so all that lies together is read at once. Whole vectors are copied:
    what they write beyond a tile's rows is that of the next column, which is copied later.
    """
    tiles, vector = -(-m // TILE_ROWS), lanes(out)
    for column in range(k):
        for t in range(t0, t1):
            first, last = t * m // tiles, (t + 1) * m // tiles
            rows = last - first
            count = -(-rows // vector) * vector
            source = a_at + first + column * a_cs
            if column * rows + count > k * rows or source + count > len(a):
                count = rows
            copy(count, a, source, 1, out, out_at + first * k + column * rows, 1)


@kernel
def pack_columns(b, b_at, b_rs, b_cs, k, n, out, out_at, out_step):
    """Copy B (k by n) to rows `out_step` apart."""
    if b_cs == 1:
        for i in range(k):
            copy(n, b, b_at + i * b_rs, 1, out, out_at + i * out_step, 1)
        return
    square = lanes(b)
    whole_k, whole_n = (k // square * square, n // square * square) if b_rs == 1 else (0, 0)
    for j in range(0, whole_n, square):
        for i in range(0, whole_k, square):
            transpose(b, b_at + j * b_cs + i, b_cs, out, out_at + i * out_step + j, out_step)
    for j in range(n):
        start = whole_k if j < whole_n else 0
        source = b_at + j * b_cs + start * b_rs
        copy(k - start, b, source, b_rs, out, out_at + start * out_step + j, out_step)


@kernel
def multiply_tiles(
    m, tile0, tile1, n, depth, a, a_at, a_depth, k0, b, b_at, b_step, c, c_at, c_step, accumulate
):
    """C (+)= A B over k0 <= k < k0 + depth, for tiles tile0..tile1 of A's m rows.

    A comes from `pack_rows` with k = a_depth; `b_at` is B's row k0, `c_at` the first row of tile0.
    """
    tiles, panel = -(-m // TILE_ROWS), TILE_VECTORS * lanes(c)
    row0 = tile0 * m // tiles
    for j in range(0, n, panel):
        for t in range(tile0, tile1):
            first, last = t * m // tiles, (t + 1) * m // tiles
            rows = last - first
            tile(
                rows, depth, a, a_at + first * a_depth + k0 * rows, b, b_at + j, b_step,
                c, c_at + (first - row0) * c_step + j, c_step, min(panel, n - j), accumulate,
            )  # fmt: skip


@kernel
def gemm_rectangle(a, b, c, product, rows, columns, work, work_at):
    """C (+)= A B for rows i0 <= i < i1 and columns j0 <= j < j1 of C, in the calling thread.

    `work[work_at:]` must have `work_size(i1 - i0, j1 - j0, k, itemsize)` elements.
    """
    (i0, i1), (j0, j1) = rows, columns
    m, n, k, accumulate = i1 - i0, j1 - j0, product.k, product.accumulate
    a_rs, a_cs, b_rs, b_cs = product[3:7]
    c_step = product.c_row_step
    a_at, b_at, c_at = i0 * a_rs, j0 * b_cs, i0 * c_step + j0
    dots = a_cs == 1 and b_rs == 1 and m <= DOT_LIMIT
    if not accumulate and (k == 0 or dots):
        for i in range(m):
            clear(n, c, c_at + i * c_step)
    if dots:
        multiply_rows(m, n, k, a, a_at, a_rs, b, b_at, b_cs, c, c_at, c_step)
        return
    panel = TILE_VECTORS * lanes(c)
    for k0 in range(0, k, DEPTH_BLOCK):
        depth = min(DEPTH_BLOCK, k - k0)
        for j in range(0, n, PANEL_BLOCK * panel):
            width = min(PANEL_BLOCK * panel, n - j)
            step = spaced(width, lanes(c))
            b_packed = work_at
            a_packed = b_packed + depth * step + panel
            in_place = b_cs == 1 and m <= 2 * TILE_ROWS
            whole = width // panel * panel if in_place else 0
            pack_columns(
                b, b_at + k0 * b_rs + (j + whole) * b_cs, b_rs, b_cs, depth, width - whole,
                work, b_packed, step,
            )  # fmt: skip
            for i in range(0, m, ROW_BLOCK):
                block = min(ROW_BLOCK, m - i)
                pack_rows(a, a_at + i * a_rs + k0 * a_cs, a_rs, a_cs, block, depth, work, a_packed)
                tiles, target = -(-block // TILE_ROWS), c_at + i * c_step + j
                add = accumulate or k0 > 0
                multiply_tiles(
                    block, 0, tiles, whole, depth, work, a_packed, depth, 0,
                    b, b_at + k0 * b_rs + j, b_rs, c, target, c_step, add,
                )  # fmt: skip
                multiply_tiles(
                    block, 0, tiles, width - whole, depth, work, a_packed, depth, 0,
                    work, b_packed, step, c, target + whole, c_step, add,
                )  # fmt: skip


@kernel
def multiply_rows(m, n, k, a, a_at, a_step, b, b_at, b_step, c, c_at, c_step):
    """C += A B' where rows of A, B and C are contiguous: a dot product per element of C."""
    for k0 in range(0, k, 2048):
        depth = min(2048, k - k0)
        for j in range(0, n, DOT_COLUMNS):
            for i in range(0, m, DOT_ROWS):
                dot_tile(
                    min(DOT_ROWS, m - i), min(DOT_COLUMNS, n - j), depth,
                    a, a_at + i * a_step + k0, a_step, b, b_at + j * b_step + k0, b_step,
                    c, c_at + i * c_step + j, c_step,
                )  # fmt: skip


@kernel(parallel=True)
def _gemm(a, b, c, product, work, share):
    """The `part`-th rectangle of C, cut at whole tiles."""
    part = share[0]
    panel = TILE_VECTORS * lanes(c)
    m, n, row_parts, column_parts = product.m, product.n, product.row_parts, product.column_parts
    at_row, at_column = part // column_parts, part % column_parts
    i0, i1 = at_row * m // row_parts, (at_row + 1) * m // row_parts
    panels = -(-n // panel)
    j0 = min(at_column * panels // column_parts * panel, n)
    j1 = min((at_column + 1) * panels // column_parts * panel, n)
    if i0 < i1 and j0 < j1:
        gemm_rectangle(a, b, c, product, (i0, i1), (j0, j1), work, part * product.size)
