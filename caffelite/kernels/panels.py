"""C (+)= A B of one B and many A of few rows, as the steps of recurrent nets have them.

`gemm` packs both for each product. Of few rows, that takes as long as a third of the product: here
B is packed once, into panels of as many columns as a register tile has.
"""

from ._jit import kernel, thread_count
from ._simd import lanes
from ._tiles import TILE_ROWS, TILE_VECTORS
from ._vectors import VECTOR_BYTES
from ._workspace import aligned, workspace
from .gemm import DEPTH_BLOCK, ROW_BLOCK, _flat, _row_step, multiply_tiles, pack_columns, pack_rows


class Panels:
    """B, or its transpose, packed: `multiply` makes products with it.

    What is packed is a copy: B may change then.
    """

    def __init__(self, b, trans_b=False):
        self.k, self.n = b.shape[::-1] if trans_b else b.shape
        self.columns = TILE_VECTORS * VECTOR_BYTES // b.itemsize
        self.count = -(-self.n // self.columns)
        self.packed = aligned(b.dtype, self.count * self.k * self.columns)
        steps = (1, _row_step(b)) if trans_b else (_row_step(b), 1)
        pack_panels(_flat(b), *steps, self.k, self.n, self.packed)

    def multiply(self, a, out, accumulate=False):
        """out = A B, or out += A B; rows of A and out may be apart."""
        m = len(a)
        parts = min(thread_count(m * self.n * self.k), self.count)
        size = min(m, ROW_BLOCK) * self.k
        multiply_panels.on(parts)(
            *(_flat(a), _row_step(a), m, self.packed, self.k, self.n, _flat(out), _row_step(out)),
            *(accumulate, workspace(out.dtype, parts * size), size),
        )


@kernel
def pack_panels(b, b_rs, b_cs, k, n, packed):
    """Copy B (k by n) into panels of whole tiles' columns, rows of a panel behind one another."""
    columns = TILE_VECTORS * lanes(packed)
    packed[:] = 0  # beyond the last column, which tiles read, but do not use
    for j in range(0, n, columns):
        pack_columns(b, j * b_cs, b_rs, b_cs, k, min(columns, n - j), packed, j * k, columns)


@kernel
def multiply_rows(
    a, a_at, a_step, m, packed, k, n, share, c, c_at, c_step, accumulate, work, work_at
):  # fmt: skip
    """C (+)= A B of m rows of A and C from their places on, and of a share of B's panels."""
    part, parts = share
    columns = TILE_VECTORS * lanes(c)
    panels = -(-n // columns)
    for i in range(0, m, ROW_BLOCK):
        block = min(ROW_BLOCK, m - i)
        tiles, target = -(-block // TILE_ROWS), c_at + i * c_step
        pack_rows(a, a_at + i * a_step, a_step, 1, block, k, work, work_at)
        for p in range(part * panels // parts, (part + 1) * panels // parts):
            j = p * columns
            for k0 in range(0, k, DEPTH_BLOCK):
                multiply_tiles(
                    block, 0, tiles, min(columns, n - j), min(DEPTH_BLOCK, k - k0), work, work_at,
                    k, k0, packed, j * k + k0 * columns, columns, c, target + j, c_step,
                    accumulate or k0 > 0,
                )  # fmt: skip


@kernel(parallel=True)
def multiply_panels(a, a_step, m, packed, k, n, c, c_step, accumulate, work, size, share):
    """C (+)= A B, where `packed` is B in panels, a share a run of them, with `size` of work."""
    at = share[0] * size
    multiply_rows(a, 0, a_step, m, packed, k, n, share, c, 0, c_step, accumulate, work, at)
