"""Tiles of a matrix product whose lanes are channels: rows are pixels, which need no neighbours.

Pixels are read from planes, or from a laned array, in which as many channels lie side by side as a
vector has lanes: where an image is (C, S), there it is (C / lanes, S, lanes).
"""

from ._epilogue import finish_rows, from_channel, hold
from ._simd import call_linked, lane_count, machine_code, operation
from ._tiles import TILE_ROWS, TILE_VECTORS, add_products, transposed
from ._vectors import INDEX, LINE_BYTES, choose, count_up, when
from .epilogue import stored

AHEAD = 32
"""Steps of depth by which `turned_tile` has values come near before it reads them."""
TOGETHER = 2
"""Steps of depth for a turn of the loop over laned values."""
TURNED_STEPS = 1, 2
"""Steps from one pixel to the next that `turned_tile` knows."""


def _turned_tile(
    step, rows, depth, x, x_at, x_step, b, b_at, ahead, ahead_step, epilogue, channel,
    addend, addend_at, adds, c, c_at, c_step, columns,
):  # fmt: skip
    panel = TILE_VECTORS * lane_count(b)
    for r in range(rows):
        for j in range(columns):
            pixel = x_at + r * step
            value = sum(x[pixel + k * x_step] * b[b_at + k * panel + j] for k in range(depth))
            more = addend[addend_at + j * c_step + r] if adds else 0
            c[c_at + j * c_step + r] = stored(value, epilogue, channel + j, more)


@operation(_turned_tile)
def turned_tile(
    typing_context, step, rows, depth, x, x_at, x_step, b, b_at, ahead, ahead_step, epilogue,
    channel, addend, addend_at, adds, c, c_at, c_step, columns,
):  # fmt: skip
    """c[j, r] = sum over k of x[k, r] * b[k, j]: a `panel_tile` whose lanes are channels.

    Up to TILE_ROWS pixels r of x lie `step` apart, rows k of it `x_step`. Of `columns` channels j,
    the first is channel `channel` of the epilogue. With `adds`, LEAKY activations are none of its.
    Meanwhile weights that are read later come near, b[b_at + ahead + k * ahead_step].
    """
    arguments = (
        step, rows, depth, x, x_at, x_step, b, b_at, ahead, ahead_step, epilogue, channel,
        addend, addend_at, adds, c, c_at, c_step, columns,
    )  # fmt: skip
    return call_linked("turned_tile", "iii@i@iiE@i@ii", arguments, TURNED_STEPS)


def _turned_tile_code(step):
    def define(
        v, rows, depth, x, x_step, b, ahead, ahead_step, epilogue, addend, adds, c, c_step, columns
    ):
        builder = v.builder
        x, b, c, addend = v.pointer(x), v.pointer(b), v.pointer(c), v.pointer(addend)
        adding = builder.icmp_signed("!=", adds, INDEX(0))
        _have_planes_near(v, rows, columns, c, c_step)
        with builder.if_then(adding):
            _have_planes_near(v, rows, columns, addend, c_step, writes=False)
        with choose(builder, rows, range(1, TILE_ROWS + 1)) as heights:
            for height in heights:
                sums = _products_of_planes(
                    v, step, height, depth, x, x_step, b, builder.gep(b, [ahead]), ahead_step
                )
                _write_planes(v, sums, epilogue, c, c_step, columns, addend, adding)

    return define


for _step in TURNED_STEPS:
    machine_code(_turned_tile_code(_step), f"turned_tile{_step}")


def _have_planes_near(v, rows, columns, c, c_step, writes=True):
    """Have the first `rows` values of so many planes near."""
    j, _, close = count_up(v.builder, columns, [])
    start = v.builder.mul(j, c_step)
    for end in start, v.builder.add(start, v.builder.sub(rows, INDEX(1))):
        v.prefetch(v.builder.gep(c, [end]), writes=writes, level=1)
    close([])


def _products_of_planes(v, step, height, depth, x, x_step, b, later, ahead_step):
    """The sums of products of `height` pixels of planes, `step` apart."""
    builder, width = v.builder, TILE_VECTORS
    k, sums, close = count_up(builder, depth, [v.zero] * (height * width))
    x_row = builder.gep(x, [builder.mul(k, x_step)])
    b_row = builder.gep(b, [builder.mul(k, INDEX(width * v.lanes))])
    right = [v.load(v.shift(b_row, j * v.lanes)) for j in range(width)]
    left = [v.shift(x_row, r * step) for r in range(height)]
    later_x = builder.gep(x_row, [builder.mul(x_step, INDEX(AHEAD))])
    for r in {0, height - 1, height // 2 * (step - 1)}:
        v.prefetch(v.shift(later_x, r * step), level=1)
    _have_weights_near(v, builder.gep(later, [builder.mul(k, ahead_step)]))
    return close(add_products(v, left, right, sums))


def _have_weights_near(v, row):
    """Have a row of a panel near."""
    for j in range(0, TILE_VECTORS * v.lanes, _line(v)):
        v.prefetch(v.shift(row, j))


def _line(v):
    """Values in a line of a cache."""
    return LINE_BYTES // v.align


def _write_planes(v, sums, epilogue, c, c_step, columns, addend=None, adding=None):
    """Turn sums, and store them to planes; the first is channel 0 of the epilogue."""
    builder, height = v.builder, len(sums) // TILE_VECTORS
    firsts = [INDEX(j * v.lanes) for j in range(TILE_VECTORS)]
    masks = [v.first(builder.sub(columns, first)) for first in firsts]
    by_vector = [sums[j::TILE_VECTORS] for j in range(TILE_VECTORS)]
    sums = finish_rows(v, by_vector, epilogue, masks, add=addend is not None)
    by_vector = [sums[j * height : (j + 1) * height] for j in range(TILE_VECTORS)]

    def plus(at, some):
        return lambda values: [builder.fadd(values[0], v.masked_load(at, some))]

    for start in range(0, height, v.lanes):  # so many rows make up one square, or several
        rows = min(v.lanes, height - start)
        some = v.first(INDEX(rows))
        for first, column in zip(firsts, by_vector, strict=True):
            square = column[start : start + rows] + [v.zero] * (v.lanes - rows)
            for lane, value in enumerate(transposed(v, square)):
                at = builder.add(first, INDEX(lane))
                with builder.if_then(builder.icmp_signed("<", at, columns)):
                    at = [builder.add(builder.mul(at, c_step), INDEX(start))]
                    if addend is not None:
                        term = builder.gep(addend, at)
                        (value,) = when(builder, adding, [value], plus(term, some))
                        value = hold(v, value, *epilogue[6:])
                    v.masked_store(value, builder.gep(c, at), some)


LANED_X, LANED_Y = 1, 2
"""What is laned, summed up, is the number of a `laned_tile`; 0 where neither is."""


def _laned_tile(
    number, rows, depth, x, x_at, x_step, b, b_at, ahead, ahead_step, epilogue, channel,
    c, c_at, c_step, columns,
):  # fmt: skip
    lanes = lane_count(b)
    for r in range(rows):
        for j in range(columns):
            value = sum(
                x[x_at + _place(number & LANED_X, lanes, x_step, k, r)]
                * b[b_at + k * TILE_VECTORS * lanes + j]
                for k in range(depth)
            )
            at = c_at + _place(number & LANED_Y, lanes, c_step, j, r)
            c[at] = stored(value, epilogue, channel + j)


def _place(is_laned, lanes, step, channel, pixel):
    if is_laned:
        return channel // lanes * step + pixel * lanes + channel % lanes
    return channel * step + pixel


@operation(_laned_tile)
def laned_tile(
    typing_context, number, rows, depth, x, x_at, x_step, b, b_at, ahead, ahead_step, epilogue,
    channel, c, c_at, c_step, columns,
):  # fmt: skip
    """A `turned_tile` of pixels side by side where x or c, or both, may be laned.

    `number`, of which see `variant`, says what is. From each channel of planes, and from each set
    of `lanes` channels where they are laned, it is one step to the next. Depth is whole vectors of
    laned x, and `columns` are of c.
    """
    arguments = (
        number, rows, depth, x, x_at, x_step, b, b_at, ahead, ahead_step, epilogue, channel,
        c, c_at, c_step, columns,
    )  # fmt: skip
    return call_linked(None, "iii@i@iiE@ii", arguments)


def _laned_tile_code(number):
    def define(v, rows, depth, x, x_step, b, ahead, ahead_step, epilogue, c, c_step, columns):
        builder = v.builder
        x, b, c = v.pointer(x), v.pointer(b), v.pointer(c)
        later = builder.gep(b, [ahead])
        _have_near(v, number, rows, columns, c, c_step)
        with choose(builder, rows, range(1, TILE_ROWS + 1)) as heights:
            for height in heights:
                given = height, depth, x, x_step, b, later, ahead_step
                if number & LANED_X:
                    sums = _products_of_laned(v, *given)
                else:
                    sums = _products_of_planes(v, 1, *given)
                _write(v, number, sums, epilogue, c, c_step, columns)

    return define


for _number in range(LANED_X + LANED_Y + 1):
    machine_code(_laned_tile_code(_number), f"laned_tile{_number}")


def _have_near(v, number, rows, columns, c, c_step):
    """Have `rows` pixels of a panel's channels near; of laned ones some may be none."""
    if not number & LANED_Y:
        _have_planes_near(v, rows, columns, c, c_step)
        return
    r, _, close = count_up(v.builder, rows, [])
    row = v.builder.gep(c, [v.builder.mul(r, INDEX(v.lanes))])
    for j in range(TILE_VECTORS):
        at = v.builder.gep(row, [v.builder.mul(c_step, INDEX(j))])
        v.prefetch(at, writes=True, level=1)
    close([])


def _products_of_laned(v, height, depth, x, x_step, b, later, ahead_step):
    """The sums of products of `height` pixels of laned x."""
    builder, lanes, width = v.builder, INDEX(v.lanes), TILE_VECTORS
    n, sums, close_all = count_up(builder, builder.sdiv(depth, lanes), [v.zero] * (height * width))
    x_set = builder.gep(x, [builder.mul(n, x_step)])
    before = builder.mul(n, lanes)
    is_last = builder.icmp_signed("==", builder.add(before, lanes), depth)
    x_next = builder.select(is_last, v.shift(x, height * v.lanes), builder.gep(x_set, [x_step]))
    i, sums, close = count_up(builder, INDEX(v.lanes // TOGETHER), sums)
    i = builder.mul(i, INDEX(TOGETHER))
    k = builder.add(before, i)
    x_row = builder.gep(x_set, [i])
    b_row = builder.gep(b, [builder.mul(k, INDEX(width * v.lanes))])
    soon = builder.gep(later, [builder.mul(k, ahead_step)])
    for step in range(TOGETHER):
        right = [v.load(v.shift(b_row, (step * width + j) * v.lanes)) for j in range(width)]
        left = [v.shift(x_row, r * v.lanes + step) for r in range(height)]
        if step * v.lanes % _line(v) == 0:
            at = builder.mul(builder.add(i, INDEX(step)), lanes)
            v.prefetch(builder.gep(x_next, [at]), level=1)
        _have_weights_near(v, soon)
        soon = builder.gep(soon, [ahead_step])
        sums = add_products(v, left, right, sums)
    return close_all(close(sums))


def _write(v, number, sums, epilogue, c, c_step, columns):
    """Store sums to planes, or to laned c; the first is channel 0 of the epilogue."""
    if not number & LANED_Y:
        _write_planes(v, sums, epilogue, c, c_step, columns)
        return
    builder = v.builder
    every = v.first(INDEX(v.lanes))
    for j in range(TILE_VECTORS):
        with builder.if_then(builder.icmp_signed("<", INDEX(j * v.lanes), columns)):
            own = from_channel(v, epilogue, INDEX(j * v.lanes))
            values = finish_rows(v, [sums[j::TILE_VECTORS]], own, [every])
            at = builder.gep(c, [builder.mul(c_step, INDEX(j))])
            for r, value in enumerate(values):
                v.store(value, v.shift(at, r * v.lanes))


ACROSS_LINES = TILE_ROWS < 8
"""Whether pixels of a `window_tile` may lie anywhere, not side by side only: so few that each has
its address in a register."""


def _window_tile(
    number, rows, depth, x, x_at, bases, bases_at, offsets, offsets_at, b, b_at, ahead, ahead_step,
    epilogue, channel, c, c_at, c_step, columns,
):  # fmt: skip
    lanes = lane_count(b)
    for r in range(rows):
        for j in range(columns):
            value = sum(
                x[x_at + bases[bases_at + r] + offsets[offsets_at + k]]
                * b[b_at + k * TILE_VECTORS * lanes + j]
                for k in range(depth)
            )
            c[c_at + _place(number & LANED_Y, lanes, c_step, j, r)] = stored(
                value, epilogue, channel + j
            )


@operation(_window_tile)
def window_tile(
    typing_context, number, rows, depth, x, x_at, bases, bases_at, offsets, offsets_at, b, b_at,
    ahead, ahead_step, epilogue, channel, c, c_at, c_step, columns,
):  # fmt: skip
    """A `laned_tile` of windows: x[bases[r] + offsets[k]] is the k-th value that pixel r sees.

    Unless ACROSS_LINES, bases go up one by one.

    `number`, of which see `variant`, is LANED_Y where c is laned, and else 0.
    """
    arguments = (
        number, rows, depth, x, x_at, bases, bases_at, offsets, offsets_at, b, b_at,
        ahead, ahead_step, epilogue, channel, c, c_at, c_step, columns,
    )  # fmt: skip
    return call_linked(None, "iii@##@iiE@ii", arguments)


def _window_tile_code(number):
    def define(
        v, rows, depth, x, bases, offsets, b, ahead, ahead_step, epilogue, c, c_step, columns
    ):
        builder, width = v.builder, TILE_VECTORS
        x, b, c = v.pointer(x), v.pointer(b), v.pointer(c)
        bases, offsets, later = v.table(bases), v.table(offsets), builder.gep(b, [ahead])
        _have_near(v, number, rows, columns, c, c_step)
        with choose(builder, rows, range(1, TILE_ROWS + 1)) as heights:
            for height in heights:
                each = height if ACROSS_LINES else 1
                starts = [builder.gep(x, [v.integer(bases, r)]) for r in range(each)]
                k, sums, close = count_up(builder, depth, [v.zero] * (height * width))
                offset = v.integer(offsets, k)
                b_row = builder.gep(b, [builder.mul(k, INDEX(width * v.lanes))])
                right = [v.load(v.shift(b_row, j * v.lanes)) for j in range(width)]
                left = [builder.gep(start, [offset]) for start in starts]
                left = [v.shift(start, r) for start in left for r in range(height // each)]
                _have_weights_near(v, builder.gep(later, [builder.mul(k, ahead_step)]))
                sums = close(add_products(v, left, right, sums))
                _write(v, number, sums, epilogue, c, c_step, columns)

    return define


for _number in 0, LANED_Y:
    machine_code(_window_tile_code(_number), f"window_tile{_number}")
