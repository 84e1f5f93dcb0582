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
    columns = TILE_VECTORS * VECTOR_BYTES // packed.itemsize
    for i in range(m):
        for j in range(n):
            column = packed[j // columns * columns * k + j % columns :: columns][:k]
            total = c[i * c_step + j] if accumulate else 0
            c[i * c_step + j] = total + sum(a[i * a_step : i * a_step + k] * column)
