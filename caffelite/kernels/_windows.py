"""Windows that slide along rows, a vector of neighbouring windows at a time (see _simd).

All operations take the same geometry: `count` windows, `stride` (1 or 2) apart, of `rows` by
`columns` values. The first one's upper left value is x[x_at], in column `left` of rows that are
`width` long. Columns outside 0..width-1 are left out; rows are the caller's to clip. Results go
to y[y_at:][:count].
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from ._link import call
from ._simd import machine_code, operation
from ._vectors import INDEX, INT32, choose, count_up

LOWEST = float(np.finfo(np.float32).min)
"""Where a maximum starts, in both precisions: only values above it count, so NaN does not."""


def _seen(x, x_at, left, width, rows, columns, stride, count):
    """Lists of (index in x, value), one per window."""
    for n in range(count):
        places = [(r, n * stride + k) for r in range(rows) for k in range(columns)]
        at = [x_at + r * width + c for r, c in places if 0 <= left + c < width]
        yield [(i, x[i]) for i in at]


def _window_max(x, x_at, left, width, rows, columns, stride, count, y, y_at):
    for n, seen in enumerate(_seen(x, x_at, left, width, rows, columns, stride, count)):
        y[y_at + n] = max((value for _, value in seen if value > LOWEST), default=LOWEST)


def _window_argmax(x, x_at, left, width, rows, columns, stride, count, y, y_at, argmax, corner):
    for n, seen in enumerate(_seen(x, x_at, left, width, rows, columns, stride, count)):
        best, where = LOWEST, -1
        for i, value in seen:
            if value > best:
                best, where = value, i - x_at + corner
        y[y_at + n], argmax[y_at + n] = best, where


def _window_sum(x, x_at, left, width, rows, columns, stride, count, y, y_at):
    for n, seen in enumerate(_seen(x, x_at, left, width, rows, columns, stride, count)):
        y[y_at + n] = sum((value for _, value in seen), x.dtype.type(0))


class _Windows:
    """Emits the loops over windows, rows and columns, with `outside` read beyond the columns."""

    def __init__(self, v, stride, outside):
        self.v, self.builder, self.stride = v, v.builder, stride
        self.outside = ir.Constant(v.type, [outside] * v.lanes)
        self.lane = ir.Constant(ir.VectorType(INDEX, v.lanes), list(range(v.lanes)))

    def _part(self, pointer, column, width, guarded):
        v, builder = self.v, self.builder
        if not guarded:
            return v.load(pointer)
        kind = self.lane.type
        columns = builder.add(self.lane, v.splat(column, kind))
        inside = builder.icmp_unsigned("<", columns, v.splat(width, kind))
        return builder.select(inside, v.masked_load(pointer, inside), self.outside)

    def _load(self, pointer, column, width, guarded):
        """A value of each of the next windows: every stride-th one from `pointer` on."""
        low = self._part(pointer, column, width, guarded)
        if self.stride == 1:
            return low
        lanes = self.v.lanes
        beyond = self.builder.add(column, INDEX(lanes))
        high = self._part(self.v.shift(pointer, lanes), beyond, width, guarded)
        even = ir.Constant(ir.VectorType(INT32, lanes), list(range(0, 2 * lanes, 2)))
        return self.builder.shuffle_vector(low, high, even)

    def store(self, value, pointer, mask):
        """Write a vector of floats or integers; `mask` is None where all lanes count."""
        builder, kind = self.builder, value.type.as_pointer()
        element = value.type.element.intrinsic_name  # f32, f64 or i32
        pointer, align = builder.bitcast(pointer, kind), int(element[1:]) // 8
        if mask is None:
            builder.store(value, pointer, align=align)
            return
        name = f"llvm.masked.store.v{self.v.lanes}{element}.p0"
        types = [value.type, kind, INT32, mask.type]
        masked = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), types), name
        )
        builder.call(masked, [value, pointer, INT32(align), mask])

    def _over_window(self, x, left, width, rows, columns, start, step, guarded):
        builder = self.builder
        r, values, close_rows = count_up(builder, rows, start)
        row = builder.mul(r, width)
        k, values, close_columns = count_up(builder, columns, values)
        at = builder.add(row, k)
        read = self._load(builder.gep(x, [at]), builder.add(left, k), width, guarded)
        return close_rows(close_columns(step(values, read, at)))

    def sweep(self, x, room, left, width, rows, columns, count, start, step, store):
        """For each vector of windows: store(first window, mask, values that step made).

        Vectors whose reads stay inside the columns and inside the `room` values from x on go
        without masks.
        """
        builder, lanes, stride = self.builder, INDEX(self.v.lanes), INDEX(self.stride)
        one = INDEX(1)
        vectors = builder.sdiv(builder.add(count, builder.sub(lanes, one)), lanes)
        n, _, close = count_up(builder, vectors, [])
        first = builder.mul(n, lanes)
        remaining = builder.sub(count, first)
        full = builder.icmp_signed(">=", remaining, lanes)
        mask = self.v.first(remaining)
        skip = builder.mul(first, stride)
        left, x = builder.add(left, skip), builder.gep(x, [skip])

        last = builder.sub(builder.select(full, lanes, remaining), one)
        right = builder.add(builder.add(left, builder.mul(last, stride)), columns)
        reach = builder.add(builder.mul(builder.sub(rows, one), width), builder.sub(columns, one))
        end = builder.add(builder.add(skip, reach), builder.mul(stride, lanes))
        free = builder.and_(
            builder.icmp_signed(">=", left, INDEX(0)),
            builder.and_(
                builder.icmp_signed("<=", right, width), builder.icmp_signed("<=", end, room)
            ),
        )
        with builder.if_else(free) as branches:
            for branch, guarded in zip(branches, (False, True), strict=True):
                with branch:
                    values = self._over_window(x, left, width, rows, columns, start, step, guarded)
                    with builder.if_else(full) as (whole, part):
                        with whole:
                            store(first, None, values)
                        with part:
                            store(first, mask, values)
        close([])


def _sweep(v, outside, parts, values):
    """`parts(windows, y, ...)` gives what `_Windows.sweep` needs: start, step and store."""
    x, room, left, width, rows, columns, stride, count, *results = values
    with choose(v.builder, stride, (1, 2)) as strides:
        for each in strides:
            windows = _Windows(v, each, outside)
            place = v.pointer(x), room, left, width, rows, columns, count
            windows.sweep(*place, *parts(windows, *results))


def _call(name, x, y, argmax=None):
    """Signature and code of a call to `name`_float32 or `name`_float64."""
    flat = [array for array in (x, y, argmax) if array is not None]
    if any((array.ndim, array.layout) != (1, "C") for array in flat) or x.dtype != y.dtype:
        return None
    i = types.int64

    def emit(context, builder, signature, values):
        def address(position, at):
            array = context.make_array(signature.args[position])(context, builder, values[position])
            return builder.ptrtoint(builder.gep(array.data, [at]), INDEX), array.nitems

        x_at, y_at, corner = values[1], values[9], values[11:]
        (x, size), (y, _) = address(0, x_at), address(8, y_at)
        actual = [x, builder.sub(size, x_at), *values[2:8], y]
        if corner:
            actual += [address(10, y_at)[0], *corner]
        call(builder, f"{name}_{signature.args[0].dtype}", actual)
        return context.get_dummy_value()

    return types.void(x, i, i, i, i, i, i, i, y, i, *([] if argmax is None else [argmax, i])), emit


def _max(windows, y):
    builder = windows.builder

    def step(values, seen, at):
        return [builder.select(builder.fcmp_ordered(">", seen, values[0]), seen, values[0])]

    def store(first, mask, values):
        windows.store(values[0], builder.gep(windows.v.pointer(y), [first]), mask)

    return [windows.outside], step, store


def _argmax(windows, y, argmax, corner):
    v, builder = windows.v, windows.builder
    integers = ir.VectorType(INT32, v.lanes)
    nowhere = ir.Constant(integers, [-1] * v.lanes)
    zero = ir.Constant(integers, [0] * v.lanes)
    integer_pointer = builder.inttoptr(argmax, INT32.as_pointer())
    steps = ir.Constant(integers, [n * windows.stride for n in range(v.lanes)])

    def narrow(value):
        return v.splat(builder.trunc(value, INT32), integers)

    def step(values, seen, at):
        best, where = values
        wins = builder.fcmp_ordered(">", seen, best)
        return [builder.select(wins, seen, best), builder.select(wins, narrow(at), where)]

    def store(first, mask, values):
        best, where = values
        windows.store(best, builder.gep(v.pointer(y), [first]), mask)
        here = builder.add(corner, builder.mul(first, INDEX(windows.stride)))
        found = builder.add(where, builder.add(steps, narrow(here)))
        where = builder.select(builder.icmp_signed("<", where, zero), nowhere, found)
        windows.store(where, builder.gep(integer_pointer, [first]), mask)

    return [windows.outside, nowhere], step, store


def _sum(windows, y):
    builder = windows.builder

    def step(values, seen, at):
        return [builder.fadd(values[0], seen)]

    def store(first, mask, values):
        windows.store(values[0], builder.gep(windows.v.pointer(y), [first]), mask)

    return [windows.outside], step, store


@machine_code
def _window_max_code(v, x, room, left, width, rows, columns, stride, count, y):
    _sweep(v, LOWEST, _max, (x, room, left, width, rows, columns, stride, count, y))


@machine_code
def _window_argmax_code(v, x, room, left, width, rows, columns, stride, count, y, argmax, corner):
    values = x, room, left, width, rows, columns, stride, count, y, argmax, corner
    _sweep(v, LOWEST, _argmax, values)


@machine_code
def _window_sum_code(v, x, room, left, width, rows, columns, stride, count, y):
    _sweep(v, 0.0, _sum, (x, room, left, width, rows, columns, stride, count, y))


@operation(_window_max)
def window_max(typing_context, x, x_at, left, width, rows, columns, stride, count, y, y_at):
    """y = the largest value in each window, LOWEST if none is above that."""
    return _call("window_max", x, y)


@operation(_window_argmax)
def window_argmax(
    typing_context, x, x_at, left, width, rows, columns, stride, count, y, y_at, argmax, corner
):
    """As `window_max`, and argmax[y_at:] says where the first of the largest is: its index in x
    less x_at plus `corner`, or -1."""
    return _call("window_argmax", x, y, argmax)


@operation(_window_sum)
def window_sum(typing_context, x, x_at, left, width, rows, columns, stride, count, y, y_at):
    """y = the sum over each window, row by row."""
    return _call("window_sum", x, y)
