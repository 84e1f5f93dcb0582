"""Rows of several arrays side by side in one, and back: what Concat copies, on all threads."""

from ._jit import kernel, threads_over
from ._simd import copy


def join(arrays, out):
    """Rows of the 2-D `arrays`, {first column: array}, become columns of `out`; all contiguous."""
    for at, array in arrays.items():
        _run(array, out, at, True)


def part(array, outs):
    """The opposite of `join`: columns of `array` become the rows of `outs`, {first column: out}."""
    for at, out in outs.items():
        _run(out, array, at, False)


def _run(narrow, wide, at, joins):
    if narrow.size:
        parts = threads_over(narrow)
        shape = len(narrow), narrow.shape[1], wide.shape[1], at
        _copy.on(parts)(narrow.reshape(-1), wide.reshape(-1), shape, joins)


@kernel(parallel=True)
def _copy(narrow, wide, shape, joins, share):
    """Copy rows from or to those that begin at column `at` of wider ones."""
    index, parts = share
    rows, width, step, at = shape
    begin, end = index * rows * width // parts, (index + 1) * rows * width // parts
    while begin < end:
        row, column = begin // width, begin % width
        count = min(width - column, end - begin)
        there = row * step + at + column
        if joins:
            copy(count, narrow, begin, 1, wide, there, 1)
        else:
            copy(count, wide, there, 1, narrow, begin, 1)
        begin += count
