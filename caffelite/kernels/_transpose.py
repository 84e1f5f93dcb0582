"""Rows become columns, a square of registers at a time."""

from ._jit import kernel
from ._simd import add, clear, lanes
from ._tiles import transpose, transpose_some


@kernel
def write_transposed(x, x_at, x_step, rows, columns, out, out_at, out_step):
    """out[j, i] = x[i, j]; zero from `rows` on."""
    transpose_all(x, x_at, x_step, rows, columns, out, out_at, out_step)
    if rows < out_step:
        for j in range(columns):
            clear(out_step - rows, out, out_at + j * out_step + rows)


@kernel
def transpose_all(x, x_at, x_step, rows, columns, out, out_at, out_step):
    """out[j, i] = x[i, j]"""
    square = lanes(x)
    for i in range(0, rows, square):
        high = min(square, rows - i)
        for j in range(0, columns, square):
            wide = min(square, columns - j)
            at, to = x_at + i * x_step + j, out_at + j * out_step + i
            if high == wide == square:
                transpose(x, at, x_step, out, to, out_step)
            else:
                transpose_some(high, wide, x, at, x_step, out, to, out_step)


@kernel
def add_transposed(x, x_at, x_step, rows, columns, out, out_at, out_step, square_at):
    """out[j, i] += x[i, j]; rows of x are whole vectors long.

    From x[square_at] on, a square of as many values as a vector has, squared, is work space.
    """
    square = lanes(out)
    for j in range(0, columns, square):
        for i in range(0, rows, square):
            source, to = x_at + i * x_step + j, out_at + j * out_step + i
            high, wide = min(square, rows - i), min(square, columns - j)
            if high == square:
                transpose(x, source, x_step, x, square_at, square)
            else:
                transpose_some(high, wide, x, source, x_step, x, square_at, square)
            for k in range(wide):
                add(high, x, square_at + k * square, 1, out, to + k * out_step, 1)
