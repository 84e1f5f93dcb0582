"""Rows become columns, a square of registers at a time."""

from ._jit import kernel
from ._simd import add, clear, copy, lanes
from ._tiles import transpose


@kernel
def write_transposed(x, x_at, x_step, rows, columns, out, out_at, out_step):
    """out[j, i] = x[i, j]; zero from `rows` on."""
    square = lanes(x)
    whole_rows, whole_columns = rows // square * square, columns // square * square
    for i in range(0, whole_rows, square):
        for j in range(0, whole_columns, square):
            transpose(x, x_at + i * x_step + j, x_step, out, out_at + j * out_step + i, out_step)
    for i in range(rows):
        start = whole_columns if i < whole_rows else 0
        to = out_at + start * out_step + i
        copy(columns - start, x, x_at + i * x_step + start, 1, out, to, out_step)
    if rows < out_step:
        for j in range(columns):
            clear(out_step - rows, out, out_at + j * out_step + rows)


@kernel
def add_transposed(x, x_at, x_step, rows, columns, out, out_at, out_step, square_at):
    """out[j, i] += x[i, j]; rows of x are whole vectors long.

    From x[square_at] on, a square of as many values as a vector has, squared, is work space.
    """
    square = lanes(out)
    for i in range(0, rows, square):
        for j in range(0, columns, square):
            source, to = x_at + i * x_step + j, out_at + j * out_step + i
            if i + square <= rows:
                transpose(x, source, x_step, x, square_at, square)
                for k in range(min(square, columns - j)):
                    add(square, x, square_at + k * square, 1, out, to + k * out_step, 1)
            else:
                for k in range(min(square, columns - j)):
                    add(rows - i, x, source + k, x_step, out, to + k * out_step, 1)
