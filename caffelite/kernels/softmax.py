"""Softmax: y = exp(x) / (sum of exp(x)) over classes; the maximum goes first, against overflow.

What is less than the smallest normal number becomes 0.
"""

import numpy as np

from ._exp import exp_below_1
from ._jit import kernel, prange
from ._simd import call_linked, lanes, machine_code, operation
from ._vectors import INDEX, count_up, when


def forward(x, y):
    """Over axis 1 of x and y, (outer, classes, inner), contiguous and of one type; y may be x."""
    _, classes, inner = x.shape
    if x.size == 0:
        return
    if inner == 1:
        _over_rows(x.reshape(-1), classes, y.reshape(-1))
    else:
        _over_columns(x.reshape(-1), classes, inner, y.reshape(-1))


@kernel(parallel=True)
def _over_rows(x, classes, y, share):
    """Where the classes of a sample lie beside each other."""
    for row in prange(x.size // classes, share):
        softmax_row(classes, x, row * classes, y, row * classes)


@kernel(parallel=True)
def _over_columns(x, classes, size, y, share):
    """Where `size` samples lie beside each other."""
    blocks = -(-size // lanes(x))
    for item in prange(x.size // (classes * size) * blocks, share):
        first = item % blocks * lanes(x)
        at = item // blocks * classes * size + first
        softmax_columns(min(lanes(x), size - first), classes, size, x, at, y, at)


def _softmax_row(count, x, x_at, y, y_at):
    e = np.exp(x[x_at : x_at + count] - x[x_at : x_at + count].max())
    y[y_at : y_at + count] = e / e.sum()


@operation(_softmax_row)
def softmax_row(typing_context, count, x, x_at, y, y_at):
    """y = softmax(x), of `count` values each."""
    return call_linked("softmax_row", "i@@", (count, x, x_at, y, y_at))


def _softmax_columns(columns, count, step, x, x_at, y, y_at):
    at = np.arange(count)[:, None] * step + np.arange(columns)
    e = np.exp(x[x_at + at] - x[x_at + at].max(0))
    y[y_at + at] = e / e.sum(0)


@operation(_softmax_columns)
def softmax_columns(typing_context, columns, count, step, x, x_at, y, y_at):
    """y[:, j] = softmax(x[:, j]), of `count` values, `step` apart, for up to a vector of j."""
    return call_linked("softmax_columns", "iii@@", (columns, count, step, x, x_at, y, y_at))


_INFINITY = float("inf")


def _larger(v, x, y):
    """The larger of two, lane by lane; of NaN, y: exp tells of it."""
    return v.builder.select(v.builder.fcmp_ordered(">", x, y), x, y)


@machine_code
def _softmax_row_code(v, count, x, y):
    builder, lanes = v.builder, INDEX(v.lanes)
    x, y = v.pointer(x), v.pointer(y)
    end = builder.mul(builder.sdiv(count, lanes), lanes)
    rest = builder.sub(count, end)
    mask = v.first(rest)

    def over(value, change):
        """`value` after change(value, at, mask) for each vector; the mask of whole ones is None."""
        i, (old,), close = count_up(builder, builder.sdiv(count, lanes), [value])
        (value,) = close([change(old, builder.mul(i, lanes), None)])
        is_part = builder.icmp_signed(">", rest, INDEX(0))
        (value,) = when(builder, is_part, [value], lambda old: [change(*old, end, mask)])
        return value

    def put(value, at, mask):
        if mask is None:
            v.store(value, builder.gep(y, [at]))
        else:
            v.masked_store(value, builder.gep(y, [at]), mask)

    def read(pointer, at, mask, other):
        at = builder.gep(pointer, [at])
        if mask is None:
            return v.load(at)
        return builder.select(mask, v.masked_load(at, mask), other)

    lowest = v.number(-_INFINITY)
    most = over(lowest, lambda old, *at: _larger(v, read(x, *at, lowest), old))
    most = v.splat(v.reduced(most, lambda a, b: _larger(v, a, b)))

    def add(total, at, mask):
        e = exp_below_1(v, v.sub(read(x, at, mask, lowest), most))
        e = e if mask is None else builder.select(mask, e, v.zero)
        put(e, at, mask)
        return v.add(total, e)

    total = v.splat(v.total(over(v.zero, add)))

    def divide(total, at, mask):
        put(builder.fdiv(read(y, at, mask, v.zero), total), at, mask)
        return total

    over(total, divide)


@machine_code
def _softmax_columns_code(v, columns, count, step, x, y):
    builder, mask = v.builder, v.first(columns)
    x, y = v.pointer(x), v.pointer(y)

    def over(value, change):
        """`value` after change(value, at) for each class."""
        k, (old,), close = count_up(builder, count, [value])
        (value,) = close([change(old, builder.mul(k, step))])
        return value

    def read(pointer, at):
        return v.masked_load(builder.gep(pointer, [at]), mask)

    def put(value, at):
        v.masked_store(value, builder.gep(y, [at]), mask)

    most = over(v.number(-_INFINITY), lambda old, at: _larger(v, read(x, at), old))

    def add(total, at):
        e = exp_below_1(v, v.sub(read(x, at), most))
        put(e, at)
        return v.add(total, e)

    total = over(v.zero, add)

    def divide(total, at):
        put(builder.fdiv(read(y, at), total), at)
        return total

    over(total, divide)
