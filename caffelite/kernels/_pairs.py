"""Values two apart: what neighbours of them make of windows with a stride of 2, beside each other.

See `_simd` for how these operations are written and what positions mean.
"""

from ._simd import call_linked, machine_code, operation
from ._vectors import INDEX, count_up


def _add_pairs(count, x, x_at, y, y_at, c, c_at):
    for i in range(count):
        c[c_at + 2 * i] += x[x_at + i]
        c[c_at + 2 * i + 1] += y[y_at + i]


@operation(_add_pairs)
def add_pairs(typing_context, count, x, x_at, y, y_at, c, c_at):
    """c[2 i] += x[i] and c[2 i + 1] += y[i] for `count` elements of each."""
    return call_linked("add_pairs", "i@@@", (count, x, x_at, y, y_at, c, c_at))


def _copy_pairs(count, x, x_at, y, y_at, c, c_at):
    for i in range(count):
        c[c_at + 2 * i] = x[x_at + i]
        c[c_at + 2 * i + 1] = y[y_at + i]


@operation(_copy_pairs)
def copy_pairs(typing_context, count, x, x_at, y, y_at, c, c_at):
    """c[2 i] = x[i] and c[2 i + 1] = y[i] for `count` elements of each."""
    return call_linked("copy_pairs", "i@@@", (count, x, x_at, y, y_at, c, c_at))


def _spread_pairs(rows, turns, count, w, w_at, w_step, y, y_at, y_step, c, c_at):
    for i in range(count):
        for half in range(2):
            total = c.dtype.type(0)
            for q in range(rows):
                for t in range(turns):
                    weight = w[w_at + q * w_step + 2 * t + half]
                    total += weight * y[y_at + q * y_step + i - t]
            c[c_at + 2 * i + half] = total


@operation(_spread_pairs)
def spread_pairs(typing_context, rows, turns, count, w, w_at, w_step, y, y_at, y_step, c, c_at):
    """c[2 i + h] = sum over q, t of w[q, 2 t + h] y[q, i - t], for `count` i and both h.

    Rows of `w` and `y` are `w_step` and `y_step` apart. Reads and writes whole vectors: up to one
    less a value beyond what is read of a row of `y`, twice that beyond what is written.
    """
    arguments = (rows, turns, count, w, w_at, w_step, y, y_at, y_step, c, c_at)
    return call_linked("spread_pairs", "iii@i@i@", arguments)


def _first_of_pairs(rows, count, x, x_at, x_step, y, y_at):
    for r in range(rows):
        for i in range(count):
            y[y_at + r * count + i] = x[x_at + r * x_step + 2 * i]


@operation(_first_of_pairs)
def first_of_pairs(typing_context, rows, count, x, x_at, x_step, y, y_at):
    """y[r, i] = x[r, 2 i] for `count` elements of each row; rows of x are `x_step` apart."""
    return call_linked("first_of_pairs", "ii@i@", (rows, count, x, x_at, x_step, y, y_at))


def _pairs_with_zeros(rows, count, y, y_at, x, x_at, x_step, columns):
    for r in range(rows):
        for i in range(columns):
            even = y[y_at + r * count + i // 2] if i < 2 * count else 0
            x[x_at + r * x_step + i] = 0 if i % 2 else even


@operation(_pairs_with_zeros)
def pairs_with_zeros(typing_context, rows, count, y, y_at, x, x_at, x_step, columns):
    """x[r, 2 i] = y[r, i] for `count` elements of each row, 0 elsewhere in `columns` columns.

    Rows of x are `x_step` apart; `columns` is at least 2 count - 1.
    """
    arguments = (rows, count, y, y_at, x, x_at, x_step, columns)
    return call_linked("pairs_with_zeros", "ii@@ii", arguments)


@machine_code
def _first_of_pairs_code(v, rows, count, x, x_step, y):
    """What is beyond the last pair's first is not read: it may be beyond all memory."""
    builder = v.builder
    x, y = v.pointer(x), v.pointer(y)
    picks = range(0, 2 * v.lanes, 2)

    def move(source, to, left):
        needed = builder.sub(builder.mul(left, INDEX(2)), INDEX(1))
        low = v.masked_load(source, v.first(needed))
        beyond = builder.sub(needed, INDEX(v.lanes))
        high = v.masked_load(v.shift(source, v.lanes), v.first(beyond))
        v.masked_store(v.shuffle(low, high, picks), to, v.first(left))

    _over_pairs(v, rows, count, (x, x_step, 2), (y, count, 1), move)


@machine_code
def _pairs_with_zeros_code(v, rows, count, y, x, x_step, columns):
    builder = v.builder
    x, y = v.pointer(x), v.pointer(y)

    def move(source, to, left):
        values = interleaved(v, v.masked_load(source, v.first(left)), v.zero)
        room = builder.sub(columns, builder.mul(builder.sub(count, left), INDEX(2)))
        for part, value in enumerate(values):
            mask = v.first(builder.sub(room, INDEX(part * v.lanes)))
            v.masked_store(value, v.shift(to, part * v.lanes), mask)

    _over_pairs(v, rows, count, (y, count, 1), (x, x_step, 2), move)


def _over_pairs(v, rows, count, source, target, move):
    """move(source, target, pairs left of the row) for each vector of pairs.

    Both come as a pointer, the step from row to row, and elements for each pair.
    """
    builder = v.builder
    vectors = builder.sdiv(builder.add(count, INDEX(v.lanes - 1)), INDEX(v.lanes))
    r, _, close_rows = count_up(builder, rows, [])
    n, _, close = count_up(builder, vectors, [])
    at = builder.mul(n, INDEX(v.lanes))
    move(
        *(
            builder.gep(
                pointer, [builder.add(builder.mul(r, step), builder.mul(at, INDEX(per_pair)))]
            )
            for pointer, step, per_pair in (source, target)
        ),
        builder.sub(count, at),
    )
    close([])
    close_rows([])


def interleaved(v, x, y):
    """[the first, the second vector of x[0], y[0], x[1], y[1], ...]"""
    picks = [i % 2 * v.lanes + i // 2 for i in range(2 * v.lanes)]
    return [v.shuffle(x, y, half) for half in (picks[: v.lanes], picks[v.lanes :])]


def _pairs_code(combine):
    """Code of c[2 i] = combine(x[i], c[2 i]), and so with y at 2 i + 1."""

    def define(v, count, x, y, c):
        builder = v.builder
        x, y, c = v.pointer(x), v.pointer(y), v.pointer(c)
        whole = builder.sdiv(count, INDEX(v.lanes))
        n, _, close = count_up(builder, whole, [])
        at = builder.mul(n, INDEX(v.lanes))
        to = builder.gep(c, [builder.mul(at, INDEX(2))])
        values = interleaved(v, v.load(builder.gep(x, [at])), v.load(builder.gep(y, [at])))
        for part, value in enumerate(values):
            place = v.shift(to, part * v.lanes)
            v.store(combine(builder, value, lambda place=place: v.load(place)), place)
        close([])
        done = builder.mul(whole, INDEX(v.lanes))
        n, _, close = count_up(builder, builder.sub(count, done), [])
        at = builder.add(done, n)
        for part, source in enumerate((x, y)):
            place = v.shift(builder.gep(c, [builder.mul(at, INDEX(2))]), part)
            value = builder.load(builder.gep(source, [at]))
            value = combine(builder, value, lambda place=place: builder.load(place))
            builder.store(value, place)
        close([])

    return define


machine_code(_pairs_code(lambda builder, new, old: builder.fadd(old(), new)), "add_pairs")
machine_code(_pairs_code(lambda builder, new, old: new), "copy_pairs")


@machine_code
def _spread_pairs_code(v, rows, turns, count, w, w_step, y, y_step, c):
    builder = v.builder
    w, y, c = v.pointer(w), v.pointer(y), v.pointer(c)
    vectors = builder.sdiv(builder.add(count, INDEX(v.lanes - 1)), INDEX(v.lanes))
    n, _, close = count_up(builder, vectors, [])
    at = builder.mul(n, INDEX(v.lanes))
    q, sums, close_rows = count_up(builder, rows, [v.zero, v.zero])
    weights = builder.gep(w, [builder.mul(q, w_step)])
    values = builder.gep(y, [builder.add(builder.mul(q, y_step), at)])
    t, sums, close_turns = count_up(builder, turns, sums)
    value = v.load(builder.gep(values, [builder.neg(t)]))
    pair = builder.gep(weights, [builder.mul(t, INDEX(2))])
    new = [
        v.fma(v.splat(builder.load(v.shift(pair, half))), value, sums[half]) for half in range(2)
    ]
    sums = close_rows(close_turns(new))
    to = builder.gep(c, [builder.mul(at, INDEX(2))])
    for part, both in enumerate(interleaved(v, *sums)):
        v.store(both, v.shift(to, part * v.lanes))
    close([])
