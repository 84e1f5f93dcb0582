"""A product with a matrix that is packed, element by element."""

from caffelite.kernels._tiles import TILE_VECTORS
from caffelite.kernels._vectors import VECTOR_BYTES


def pack_panels(b, b_rs, b_cs, k, n, packed):
    columns = TILE_VECTORS * VECTOR_BYTES // packed.itemsize
    packed[:] = 0
    for i in range(k):
        for j in range(n):
            packed[j // columns * columns * k + i * columns + j % columns] = b[i * b_rs + j * b_cs]


def multiply_panels(a, a_step, m, packed, k, n, c, c_step, accumulate, work, size, share):
    multiply_rows(a, 0, a_step, m, packed, k, n, (0, 1), c, 0, c_step, accumulate, work, 0)


def multiply_rows(
    a, a_at, a_step, m, packed, k, n, share, c, c_at, c_step, accumulate, work, work_at
):  # fmt: skip
    columns = TILE_VECTORS * VECTOR_BYTES // packed.itemsize
    for i in range(m):
        row, start = c_at + i * c_step, a_at + i * a_step
        for j in range(n):
            column = packed[j // columns * columns * k + j % columns :: columns][:k]
            total = c[row + j] if accumulate else 0
            c[row + j] = total + sum(a[start : start + k] * column)
