"""Passes over a channel of N x C x S in vector registers: its sums, and what becomes of its values.

All take `rows` rows of `length` values; from one row of an array to the next are `step` elements.
Rows may be short, as those of 7 by 7 maps are: what is left of the last vectors is masked. Sums are
kept in float64: values are widened in registers.
"""

from itertools import chain

import numpy as np
from llvmlite import ir

from ._epilogue import finisher
from ._simd import call_linked, machine_code, operation
from ._vectors import INDEX, count_up, when
from .epilogue import CLIPPED, LEAKY, NONE, stored

UNROLLED = 2
"""Vectors at a time, each with sums of its own: additions take longer than they are apart."""


def _over_rows(v, rows, length, arrays, values, body, fetches=()):
    """Run body(pointers, mask, values) for each vector of each row; returns the last values.

    `arrays` are (address, step), of which `body` gets a pointer each; it returns new values. The
    mask is None where all lanes count. `values` are carried, for each vector of UNROLLED apart.
    `fetches` are (place, writes): of these arrays the rows of the next channel, which lie behind
    those of this one, are to come from memory meanwhile, to be written or not.
    """
    builder, block = v.builder, ir.Constant(INDEX, UNROLLED * v.lanes)
    one, none = ir.Constant(INDEX, v.lanes), ir.Constant(INDEX, 0)
    whole = builder.sdiv(length, block)
    done = builder.mul(whole, block)
    last = builder.mul(builder.sdiv(length, one), one)
    rest = builder.sub(length, last)
    starts = [(v.pointer(address), step) for address, step in arrays]

    def run_vector(row, place, mask, carried):
        pointers = [builder.gep(start, [place]) for start in row]
        found = body(pointers, mask, carried)
        for k, writes in fetches:
            v.prefetch(builder.gep(pointers[k], [length]), writes)
        return found

    def run_block(row, at, carried):
        return [
            value
            for j, own in enumerate(_groups(carried, UNROLLED))
            for value in run_vector(row, builder.add(at, INDEX(j * v.lanes)), None, own)
        ]

    def run_rest(row, place, mask, carried):
        first, *others = _groups(carried, UNROLLED)
        return [*run_vector(row, place, mask, first), *chain(*others)]

    n, carried, close = count_up(builder, rows, list(values) * UNROLLED)
    row = [builder.gep(start, [builder.mul(n, step)]) for start, step in starts]
    i, inner, close_inner = count_up(builder, whole, carried)
    inner = run_block(row, builder.mul(i, block), inner)
    carried = close_inner(inner)
    # masked vectors are slow to store where masks have no registers of their own: as few as can be
    for at, left, mask in (done, builder.sub(last, done), None), (last, rest, v.first(rest)):
        carried = when(
            builder, builder.icmp_signed(">", left, none), carried,
            lambda values, at=at, mask=mask: run_rest(row, at, mask, values),
        )  # fmt: skip
    carried = close(carried)
    return [carried[k :: len(values)] for k in range(len(values))]


def _groups(values, count):
    """Values in so many groups of as many."""
    size = len(values) // count
    return [values[k * size : (k + 1) * size] for k in range(count)]


def _load(v, pointer, mask):
    return v.load(pointer) if mask is None else v.masked_load(pointer, mask)


def _store(v, value, pointer, mask):
    if mask is None:
        v.store(value, pointer)
    else:
        v.masked_store(value, pointer, mask)


def _write_totals(v, totals, address):
    """Write the totals of lists of wide vectors as float64, one behind another."""
    wide = v.widened()
    to = wide.pointer(address)
    for k, (first, *others) in enumerate(totals):
        for other in others:
            first = wide.add(first, other)
        v.builder.store(wide.total(first), wide.shift(to, k))


def _channel_moments(rows, length, x, x_at, step, sums, sums_at):
    start = x[x_at]
    row = [float(x[x_at + n * step + i] - start) for n in range(rows) for i in range(length)]
    sums[sums_at], sums[sums_at + 1] = sum(row), sum(d * d for d in row)


@operation(_channel_moments)
def channel_moments(typing_context, rows, length, x, x_at, step, sums, sums_at):
    """sums = sum(x - x[0]) and sum((x - x[0]) ** 2), float64: squares lose nothing to a mean."""
    return call_linked("channel_moments", "ii@i&", (rows, length, x, x_at, step, sums, sums_at))


@machine_code
def _channel_moments_code(v, rows, length, x, step, sums):
    builder, wide = v.builder, v.widened()
    start = v.splat(builder.load(v.pointer(x)))

    def add(pointers, mask, values):
        difference = v.sub(_load(v, pointers[0], mask), start)
        if mask is not None:
            difference = builder.select(mask, difference, v.zero)
        difference, (plain, squares) = v.widen(difference), values
        return [wide.add(plain, difference), wide.fma(difference, difference, squares)]

    zeros = [wide.zero, wide.zero]
    totals = _over_rows(v, rows, length, [(x, step)], zeros, add, [(0, False)])
    _write_totals(v, totals, sums)


def _channel_map(rows, length, step, x, x_at, epilogue, channel, y, y_at):
    for n in range(rows):
        for i in range(n * step, n * step + length):
            y[y_at + i] = stored(x[x_at + i], epilogue, channel)


@operation(_channel_map)
def channel_map(typing_context, rows, length, step, x, x_at, epilogue, channel, y, y_at):
    """y = what the epilogue makes of x; `y` may be `x`."""
    arguments = rows, length, step, x, x_at, epilogue, channel, y, y_at
    return call_linked("channel_map", "iii@E@", arguments)


@machine_code
def _channel_map_code(v, rows, length, step, x, epilogue, y):
    _map(v, rows, length, step, x, epilogue, y)


def _map(v, rows, length, step, x, epilogue, y, addend=None):
    """y = what the epilogue makes of x, with what is at the address `addend` added to its line."""
    finish = finisher(v, epilogue, x)

    def change(pointers, mask, values):
        x, y, *addends = pointers

        def add(sums):
            return [v.add(sums[0], _load(v, addends[0], mask))]

        _store(v, finish([_load(v, x, mask)], add if addends else None)[0], y, mask)
        return values

    arrays = [(x, step), (y, step), *[(addend, step)] * (addend is not None)]
    _over_rows(v, rows, length, arrays, [], change, [(1, True), (2, False)][: len(arrays) - 1])


def _with_line(epilogue, channel, numbers, dtype):
    """The epilogue, with center, slope and offset of one channel from `numbers`."""
    own = {name: np.empty(channel + 1, dtype) for name in ("center", "slope", "offset")}
    for array, number in zip(own.values(), numbers, strict=True):
        array[channel] = number
    return epilogue._replace(**own)


def _channel_normalize(
    rows, length, step, x, x_at, numbers, numbers_at, epilogue, channel, y, y_at
):
    own = _with_line(epilogue, channel, numbers[numbers_at : numbers_at + 3], x.dtype)
    _channel_map(rows, length, step, x, x_at, own, channel, y, y_at)


@operation(_channel_normalize)
def channel_normalize(
    typing_context, rows, length, step, x, x_at, numbers, numbers_at, epilogue, channel, y, y_at
):
    """`channel_map` where `numbers` are center, slope and offset, not those of the epilogue."""
    arguments = rows, length, step, x, x_at, numbers, numbers_at, epilogue, channel, y, y_at
    return call_linked("channel_normalize", "iii@@E@", arguments)


@machine_code
def _channel_normalize_code(v, rows, length, step, x, numbers, epilogue, y):
    _map(v, rows, length, step, x, _line_at(v, numbers, epilogue), y)


def _line_at(v, numbers, epilogue):
    """What `finisher` takes, with center, slope and offset at the address `numbers`."""
    sizes = [ir.Constant(INDEX, k * v.align) for k in range(3)]
    places = [v.builder.add(numbers, size) for size in sizes]
    return [*places, epilogue[3], ir.Constant(INDEX, 1), *epilogue[5:]]


def _channel_normalize_sum(
    rows, length, step, x, x_at, addend, addend_at, numbers, numbers_at, epilogue, channel, y, y_at
):
    own = _with_line(epilogue, channel, numbers[numbers_at : numbers_at + 3], x.dtype)
    for n in range(rows):
        for i in range(n * step, n * step + length):
            y[y_at + i] = stored(x[x_at + i], own, channel, addend[addend_at + i])


@operation(_channel_normalize_sum)
def channel_normalize_sum(
    typing_context,
    rows, length, step, x, x_at, addend, addend_at, numbers, numbers_at, epilogue, channel, y, y_at,
):  # fmt: skip
    """`channel_normalize` with an addend, which comes before the activation."""
    arguments = (
        rows, length, step, x, x_at, addend, addend_at, numbers, numbers_at, epilogue, channel,
        y, y_at,
    )  # fmt: skip
    return call_linked("channel_normalize_sum", "iii@@@E@", arguments)


@machine_code
def _channel_normalize_sum_code(v, rows, length, step, x, addend, numbers, epilogue, y):
    _map(v, rows, length, step, x, _line_at(v, numbers, epilogue), y, addend)


def _gradient(y, dy, epilogue, c, active):
    """dy times the slope of the activation that gave y, if that is `active`."""
    if epilogue.activation == NONE or not active:
        return dy
    if epilogue.activation == CLIPPED:
        return dy if epilogue.low < y < epilogue.high else dy * 0
    return dy if y > 0 else dy * (epilogue.leak[c] if epilogue.activation == LEAKY else 0)


def _for_activation(v, epilogue, active, readable, emit):
    """Emit code twice, by emit(slope): with an activation, that is `active`, and without.

    slope(y, dy, mask) is the gradient of the activation, where y is a pointer.
    """
    builder = v.builder
    kind, leak = epilogue[5], epilogue[3]

    def is_kind(number):
        return builder.icmp_signed("==", kind, ir.Constant(INDEX, number))

    def activated():
        clipped, leaky = is_kind(CLIPPED), is_kind(LEAKY)
        zero = ir.Constant(v.element, 0)
        low = builder.select(clipped, v.number_of(epilogue[6]), zero)
        high = builder.select(
            clipped, v.number_of(epilogue[7]), ir.Constant(v.element, float("nan"))
        )
        address = builder.select(leaky, leak, readable)
        factor = builder.select(leaky, builder.load(v.pointer(address)), zero)
        low, high, factor = v.splat(low), v.splat(high), v.splat(factor)

        def slope(y, dy, mask):
            value = _load(v, y, mask)
            # a limit that is no number does not count
            inside = builder.and_(
                builder.fcmp_ordered(">", value, low), builder.fcmp_unordered("<", value, high)
            )
            return builder.select(inside, dy, v.mul(dy, factor))

        return slope

    passive = builder.icmp_signed("==", active, ir.Constant(INDEX, 0))
    with builder.if_else(builder.or_(passive, is_kind(NONE))) as (without, with_one):
        with without:
            emit(lambda y, dy, mask: dy)
        with with_one:
            emit(activated())


def _channel_products(
    rows, length, step, y, y_at, dy, dy_at, x, x_at, center, center_at, epilogue, channel,
    active, sums, sums_at,
):  # fmt: skip
    g, products = [], []
    for n in range(rows):
        for i in range(n * step, n * step + length):
            g.append(float(_gradient(y[y_at + i], dy[dy_at + i], epilogue, channel, active)))
            products.append(g[-1] * float(x[x_at + i] - center[center_at]))
    sums[sums_at], sums[sums_at + 1] = sum(g), sum(products)


@operation(_channel_products)
def channel_products(
    typing_context, rows, length, step, y, y_at, dy, dy_at, x, x_at, center, center_at,
    epilogue, channel, active, sums, sums_at,
):  # fmt: skip
    """sums = sum(g) and sum(g * (x - center)), float64.

    g is dy times the slope of the epilogue's activation, which gave y; if that is not `active`, or
    none, g is dy, and y is not read.
    """
    arguments = (
        rows, length, step, y, y_at, dy, dy_at, x, x_at, center, center_at, epilogue, channel,
        active, sums, sums_at,
    )  # fmt: skip
    return call_linked("channel_products", "iii@@@@Ei&", arguments)


@machine_code
def _channel_products_code(v, rows, length, step, y, dy, x, center, epilogue, active, sums):
    def only(pointers, mask):
        return _load(v, pointers[0], mask)

    _products(v, rows, length, step, y, [dy], only, x, center, epilogue, active, None, sums)


def _products(v, rows, length, step, y, gradients, total, x, center, epilogue, active, g, sums):
    """Code of `channel_products` where the gradient is total(pointers, mask) of several arrays.

    What it is times the slope goes to the address `g`, unless that is None.
    """
    builder, wide = v.builder, v.widened()
    center = v.splat(builder.load(v.pointer(center)))
    addresses = [y, x, *[g] * (g is not None), *gradients]

    def emit(slope):
        def add(pointers, mask, values):
            y, x, *others = pointers
            to, given = others[: -len(gradients)], others[-len(gradients) :]
            g = slope(y, total(given, mask), mask)
            for pointer in to:
                _store(v, g, pointer, mask)
            g = v.widen(g)
            difference = v.sub(_load(v, x, mask), center)
            if mask is not None:  # lanes beyond the row, whose g is 0, might hold no number
                difference = builder.select(mask, difference, v.zero)
            plain, weighted = values
            return [wide.add(plain, g), wide.fma(g, v.widen(difference), weighted)]

        arrays = [(address, step) for address in addresses]
        fetches = [(k, address is g) for k, address in enumerate(addresses)]
        totals = _over_rows(v, rows, length, arrays, [wide.zero, wide.zero], add, fetches)
        _write_totals(v, totals, sums)

    _for_activation(v, epilogue, active, gradients[0], emit)


def _channel_total_products(
    rows, length, step, y, y_at, dy, dy_at, more, more_at, adds, x, x_at, center, center_at,
    epilogue, channel, g, g_at, sums, sums_at,
):  # fmt: skip
    for n in range(rows):
        for i in range(n * step, n * step + length):
            total = dy[dy_at + i] + more[more_at + i] if adds else dy[dy_at + i]
            g[g_at + i] = _gradient(y[y_at + i], total, epilogue, channel, True)
    _channel_products(
        rows, length, step, y, y_at, g, g_at, x, x_at, center, center_at, epilogue, channel,
        False, sums, sums_at,
    )  # fmt: skip


@operation(_channel_total_products)
def channel_total_products(
    typing_context, rows, length, step, y, y_at, dy, dy_at, more, more_at, adds, x, x_at,
    center, center_at, epilogue, channel, g, g_at, sums, sums_at,
):  # fmt: skip
    """`channel_products` of dy, or if it `adds` of dy + more, which also fills g.

    `g` may be `dy` or `more`.
    """
    arguments = (
        rows, length, step, y, y_at, dy, dy_at, more, more_at, adds, x, x_at, center, center_at,
        epilogue, channel, g, g_at, sums, sums_at,
    )  # fmt: skip
    return call_linked("channel_total_products", "iii@@@i@@E@&", arguments)


@machine_code
def _channel_total_products_code(
    v, rows, length, step, y, dy, more, adds, x, center, epilogue, g, sums
):
    builder, one = v.builder, ir.Constant(INDEX, 1)
    adds = builder.icmp_signed("!=", adds, ir.Constant(INDEX, 0))

    def total(pointers, mask):
        dy, more = (_load(v, pointer, mask) for pointer in pointers)
        return builder.select(adds, v.add(dy, more), dy)

    _products(v, rows, length, step, y, [dy, more], total, x, center, epilogue, one, g, sums)


def _channel_combine(
    rows, length, step, y, y_at, dy, dy_at, x, x_at, epilogue, channel, active,
    numbers, numbers_at, adds, dx, dx_at,
):  # fmt: skip
    slope, x_slope, center, offset = numbers[numbers_at : numbers_at + 4]
    for n in range(rows):
        for i in range(n * step, n * step + length):
            g = _gradient(y[y_at + i], dy[dy_at + i], epilogue, channel, active)
            value = slope * g + (x_slope * (x[x_at + i] - center) + offset)
            dx[dx_at + i] = value + dx[dx_at + i] if adds else value


@operation(_channel_combine)
def channel_combine(
    typing_context, rows, length, step, y, y_at, dy, dy_at, x, x_at, epilogue, channel,
    active, numbers, numbers_at, adds, dx, dx_at,
):  # fmt: skip
    """dx = slope * g + x_slope * (x - center) + offset, for the g of `channel_products`.

    `numbers` are slope, x_slope, center and offset. `dx` may be `dy`; with `adds`, it is added to.
    """
    arguments = (
        rows, length, step, y, y_at, dy, dy_at, x, x_at, epilogue, channel, active,
        numbers, numbers_at, adds, dx, dx_at,
    )  # fmt: skip
    return call_linked("channel_combine", "iii@@@Ei@i@", arguments)


@machine_code
def _channel_combine_code(v, rows, length, step, y, dy, x, epilogue, active, numbers, adds, dx):
    builder = v.builder
    numbers = v.pointer(numbers)
    slope, x_slope, center, offset = (v.splat(builder.load(v.shift(numbers, k))) for k in range(4))
    adds = builder.icmp_signed("!=", adds, ir.Constant(INDEX, 0))

    def emit(slope_of):
        def change(pointers, mask, values):
            y, dy, x, dx = pointers
            g = slope_of(y, _load(v, dy, mask), mask)
            line = v.fma(x_slope, v.sub(_load(v, x, mask), center), offset)
            old = builder.select(adds, _load(v, dx, mask), v.zero)
            _store(v, v.add(v.fma(slope, g, line), old), dx, mask)
            return values

        arrays = [(y, step), (dy, step), (x, step), (dx, step)]
        _over_rows(v, rows, length, arrays, [], change, [(3, True)])

    _for_activation(v, epilogue, active, dy, emit)
