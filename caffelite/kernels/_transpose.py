"""Rows become columns, a square of registers at a time."""

from ._jit import kernel
from ._simd import add, clear, copy, lanes
from ._tiles import transpose


@kernel
def write_transposed(x, x_at, x_step, rows, columns, out, out_at, out_step):
    """out[j, i] = x[i, j]; zero from `rows` on."""
    square = lanes(x)
    whole_rows = rows // square * square if columns >= square else 0
    for i in range(0, whole_rows, square):
        for k in range(0, columns, square):
            j = min(k, columns - square)  # the last square may cover a part of the one before
            transpose(x, x_at + i * x_step + j, x_step, out, out_at + j * out_step + i, out_step)
    for i in range(whole_rows, rows):
        copy(columns, x, x_at + i * x_step, 1, out, out_at + i, out_step)
    if rows < out_step:
        for j in range(columns):
            clear(out_step - rows, out, out_at + j * out_step + rows)


@kernel
def add_transposed(x, x_at, x_step, rows, columns, out, out_at, out_step, square_at):
    """out[j, i] += x[i, j]; rows of x are whole vectors long.

    From x[square_at] on, a square of as many values as a vector has, squared, is work space.
    """
    square = lanes(out)
    for j in range(0, columns, square):
        for i in range(0, rows, square):
            source, to = x_at + i * x_step + j, out_at + j * out_step + i
            if i + square <= rows:
                transpose(x, source, x_step, x, square_at, square)
                for k in range(min(square, columns - j)):
                    add(square, x, square_at + k * square, 1, out, to + k * out_step, 1)
            else:
                for k in range(min(square, columns - j)):
                    add(rows - i, x, source + k, x_step, out, to + k * out_step, 1)
