"""Sums over single planes under windows of a few values: vectors go down planes, see `_walk`."""

from ._epilogue import finisher, from_channel
from ._pairs import interleaved
from ._simd import call_linked, machine_code, operation
from ._vectors import INDEX, LINE_BYTES, REGISTERS, choose, count_up, when
from ._walk import Walk, store_line
from .epilogue import stored

SIZES = 3, 5
"""Lines and columns of windows."""
SPREAD_SIZES = 3, 4, 5
"""The same of windows that are spread at a stride of 2."""
GRADIENT_ROWS = 5 if REGISTERS == 32 else 3
"""Most lines of a window whose gradients are summed in registers at once."""
LARGE_PLANE = 1 << 11
"""Values of a plane from which on the next one is to come near before it is written."""


def _products(size, stride, lines, columns, height, width, top, left, row_gap, column_gap):
    """(line, column, position of the window, row, column of the plane) of all products."""
    for i in range(lines):
        for j in range(columns):
            for k in range(size * size):
                row = top + (i * stride + k // size) * row_gap
                column = left + j * stride + k % size * column_gap
                if 0 <= row < height and 0 <= column < width:
                    yield i, j, k, row, column


def _depthwise_lines(
    size, stride, planes, lines, columns, w, w_at, w_plane, w_step, x, x_at, height, width, top,
    left, row_gap, column_gap, epilogue, channel, y, y_at, y_plane, y_step,
):  # fmt: skip
    places = size, stride, lines, columns, height, width, top, left, row_gap, column_gap
    for c in range(planes):
        sums = [[y.dtype.type(0)] * columns for _ in range(lines)]
        w_from, x_from, y_from = w_at + c * w_plane, x_at + c * height * width, y_at + c * y_plane
        for i, j, k, row, column in _products(*places):
            sums[i][j] += w[w_from + k * w_step] * x[x_from + row * width + column]
        for i in range(lines):
            for j in range(columns):
                y[y_from + i * y_step + j] = stored(sums[i][j], epilogue, channel + c)


@operation(_depthwise_lines)
def depthwise_lines(
    typing_context, size, stride, planes, lines, columns, w, w_at, w_plane, w_step, x, x_at,
    height, width, top, left, row_gap, column_gap, epilogue, channel, y, y_at, y_plane, y_step,
):  # fmt: skip
    """y[c, i, j] = sum over k, l of w[c, k, l] * x[c, top + (i * stride + k) * row_gap,
    left + j * stride + l * column_gap], stored as `channel` + c of the epilogue says.

    `size` is one of SIZES, and `stride` 1, or 2 where both gaps are 1. Planes of weights are
    `w_plane` apart, and weights in them `w_step`; planes of y `y_plane`, and their lines `y_step`.
    """
    arguments = (
        size, stride, planes, lines, columns, w, w_at, w_plane, w_step, x, x_at, height, width,
        top, left, row_gap, column_gap, epilogue, channel, y, y_at, y_plane, y_step,
    )  # fmt: skip
    return call_linked("depthwise_lines", "iiiii@ii@iiiiiiE@ii", arguments, SIZES)


def _depthwise_gradient(
    size, stride, images, lines, columns, x, x_at, x_step, height, width, top, left,
    row_gap, column_gap, dy, dy_at, dy_step, dy_line, dw, dw_at,
):  # fmt: skip
    places = size, stride, lines, columns, height, width, top, left, row_gap, column_gap
    for n in range(images):
        for i, j, k, row, column in _products(*places):
            value = x[x_at + n * x_step + row * width + column]
            dw[dw_at + k] += dy[dy_at + n * dy_step + i * dy_line + j] * value


@operation(_depthwise_gradient)
def depthwise_gradient(
    typing_context, size, stride, images, lines, columns, x, x_at, x_step, height, width, top,
    left, row_gap, column_gap, dy, dy_at, dy_step, dy_line, dw, dw_at,
):  # fmt: skip
    """dw[k, l] += sum over images, i, j of dy[i, j] times what `depthwise_lines` reads for it.

    Images are `x_step` and `dy_step` apart, lines of dy `dy_line`.
    """
    arguments = (
        size, stride, images, lines, columns, x, x_at, x_step, height, width, top, left,
        row_gap, column_gap, dy, dy_at, dy_step, dy_line, dw, dw_at,
    )  # fmt: skip
    return call_linked("depthwise_gradient", "iiiii@iiiiiii@ii@", arguments, SIZES)


def _depthwise_spread(size, w, w_at, y, y_at, lines, columns, pad_h, pad_w, x, x_at, height, width):
    x[x_at : x_at + height * width] = 0
    for i in range(lines):
        for j in range(columns):
            for k in range(size * size):
                row, column = 2 * i + k // size - pad_h, 2 * j + k % size - pad_w
                if 0 <= row < height and 0 <= column < width:
                    x[x_at + row * width + column] += w[w_at + k] * y[y_at + i * columns + j]


@operation(_depthwise_spread)
def depthwise_spread(
    typing_context, size, w, w_at, y, y_at, lines, columns, pad_h, pad_w, x, x_at, height, width
):
    """x[h, c] = sum over i, j of w[h + pad_h - 2 i, c + pad_w - 2 j] * y[i, j], for a whole plane.

    `size` is one of SPREAD_SIZES.
    """
    arguments = (
        size, w, w_at, y, y_at, lines, columns, pad_h, pad_w, x, x_at, height, width,
    )  # fmt: skip
    return call_linked("depthwise_spread", "i@@iiii@ii", arguments, SPREAD_SIZES)


def _lines_code(size):
    def define(
        v, stride, planes, lines, columns, w, w_plane, w_step, x, height, width, top, left,
        row_gap, column_gap, epilogue, y, y_plane, y_step,
    ):  # fmt: skip
        place = v.pointer(x), height, width, top, left, row_gap, column_gap
        w, y = (v.pointer(w), w_plane, w_step), (v.pointer(y), y_plane, y_step)
        with choose(v.builder, stride, (1, 2)) as each:
            for one in each:
                walk = Walk(v, size, size, one, *place)
                _lines(walk, planes, lines, columns, w, epilogue, y)

    return define


def _lines(walk, planes, lines, columns, w, epilogue, y):
    v, builder, turns = walk.v, walk.builder, walk.turns
    w, w_plane, w_step = w
    y, y_plane, y_step = y
    c, _, close_planes = count_up(builder, planes, [])
    walk, plane = walk.plane(c), builder.mul(walk.height, walk.width)
    w = builder.gep(w, [builder.mul(c, w_plane)])
    weights = [
        v.splat(builder.load(builder.gep(w, [builder.mul(w_step, INDEX(k))])))
        for k in range(walk.size**2)
    ]
    finish = finisher(v, from_channel(v, epilogue, c), builder.ptrtoint(w, INDEX))
    is_large = builder.icmp_signed(">", y_plane, INDEX(LARGE_PLANE))
    n, _, close = count_up(builder, walk.vectors(columns), [])
    j, is_short = walk.place(n, columns)
    is_dense = builder.icmp_signed("==", y_step, columns)
    first = walk.column(j)
    target = builder.gep(y, [builder.add(j, builder.mul(c, y_plane))])

    def store(i, total):
        [total] = finish([walk.ordered(total)])
        with builder.if_then(is_large):
            later = builder.add(y_plane, builder.mul(i, y_step))
            v.prefetch(builder.gep(target, [later]), writes=True)
        room = builder.mul(builder.sub(lines, i), columns)
        is_room = builder.and_(is_dense, builder.icmp_signed(">=", room, INDEX(v.lanes)))
        fits = builder.or_(builder.not_(is_short), is_room)
        store_line(v, total, builder.gep(target, [builder.mul(i, y_step)]), fits, columns)

    def down(guards):
        def step(q, waiting, read):
            sums = [v.zero, *waiting]
            for row, seen in enumerate(walk.seen):

                def change(pointer, row=row, seen=seen, sums=sums):
                    new = list(sums)
                    v.prefetch(builder.gep(pointer, [plane]))
                    for column, value in enumerate(walk.taps(pointer, guards)):
                        for t in seen:
                            weight = weights[(row + t * walk.stride) * walk.size + column]
                            new[t] = v.fma(weight, value, new[t])
                    return new

                sums = read(row, sums, change)
            with builder.if_then(builder.icmp_signed(">=", q, INDEX(turns - 1))):
                store(builder.sub(q, INDEX(turns - 1)), sums[-1])
            return sums[:-1]

        walk.down(lines, first, [v.zero] * (turns - 1), step)

    walk.guarded(first, down)
    close([])
    close_planes([])


def _gradient_code(size):
    def define(
        v, stride, images, lines, columns, x, x_step, height, width, top, left, row_gap,
        column_gap, dy, dy_step, dy_line, dw,
    ):  # fmt: skip
        builder = v.builder
        x, dy, dw = map(v.pointer, (x, dy, dw))
        with choose(builder, stride, (1, 2)) as each:
            for one in each:
                for above in range(0, size, GRADIENT_ROWS // one * one):
                    rows = min(GRADIENT_ROWS // one * one, size - above)
                    down = builder.add(top, builder.mul(row_gap, INDEX(above)))
                    n, sums, close = count_up(builder, images, [v.zero] * (rows * size))
                    plane = builder.gep(x, [builder.mul(n, x_step)])
                    walk = Walk(
                        v, rows, size, one, plane, height, width, down, left, row_gap, column_gap
                    )
                    given = builder.gep(dy, [builder.mul(n, dy_step)])
                    steps = x_step, dy_step  # to the next image, which comes meanwhile
                    sums = close(_gradient(walk, lines, columns, given, dy_line, steps, sums))
                    for k, total in enumerate(sums):
                        at = v.shift(dw, above * size + k)
                        builder.store(builder.fadd(builder.load(at), v.total(total)), at)

    return define


def _gradient(walk, lines, columns, dy, dy_line, steps, sums):
    """The sums with those of one plane added."""
    v, builder, turns, count = walk.v, walk.builder, walk.turns, len(sums)
    n, sums, close = count_up(builder, walk.vectors(columns), sums)
    j = builder.mul(n, INDEX(v.lanes))
    counted, first, source = builder.sub(columns, j), walk.column(j), builder.gep(dy, [j])
    is_whole = builder.icmp_signed(">=", counted, INDEX(v.lanes))
    picks = [walk.order().index(lane) for lane in range(v.lanes)]

    def down(guards):
        def line(q):
            at = builder.gep(source, [builder.mul(q, dy_line)])
            v.prefetch(builder.gep(at, [steps[1]]))
            value = v.load(at) if guards is None else v.masked_load(at, v.first(counted))
            return [value if walk.stride == 1 else v.shuffle(value, value, picks)]

        def step(q, values, read):
            sums, known = values[:count], values[count:]
            is_line = builder.icmp_signed("<", q, lines)
            known = [*when(builder, is_line, [v.zero], lambda _: line(q)), *known]
            is_known = [
                builder.icmp_unsigned("<", builder.sub(q, INDEX(t)), lines) for t in range(turns)
            ]
            all_known = builder.and_(is_known[0], is_known[-1])

            def add(sums, values, row, t):
                new = list(sums)
                for column, value in enumerate(values):
                    k = (row + t * walk.stride) * walk.size + column
                    new[k] = v.fma(known[t], value, new[k])
                return new

            for row, seen in enumerate(walk.seen):

                def change(pointer, row=row, seen=seen, sums=sums):
                    values = walk.taps(pointer, guards)
                    v.prefetch(builder.gep(pointer, [steps[0]]))

                    def each(new):
                        for t in seen:
                            new = add(new, values, row, t)
                        return new

                    def known_ones(new):
                        for t in seen:
                            new = when(
                                builder, is_known[t], new, lambda new, t=t: add(new, values, row, t)
                            )
                        return new

                    new = when(builder, all_known, sums, each)
                    return when(builder, builder.not_(all_known), new, known_ones)

                sums = read(row, sums, change)
            return [*sums, *known[:-1]]

        return lambda sums: walk.down(lines, first, [*sums, *[v.zero] * (turns - 1)], step)[:count]

    inside = builder.and_(walk.is_inside(first), is_whole)
    sums = when(builder, inside, sums, down(None))
    edge = builder.not_(inside)
    return close(when(builder, edge, sums, lambda sums: down(walk.guards(first, counted))(sums)))


def _spread_code(size):
    def define(v, w, y, lines, columns, pad_h, pad_w, x, height, width):
        w, y, x = map(v.pointer, (w, y, x))
        weights = [v.splat(v.builder.load(v.shift(w, k))) for k in range(size * size)]
        odd = v.builder.and_(pad_w, INDEX(1))
        with choose(v.builder, odd, (0, 1)) as each:
            for one in each:
                _spread(v, size, one, weights, y, lines, columns, pad_h, pad_w, x, height, width)

    return define


def _spread(v, size, odd, weights, y, lines, columns, pad_h, pad_w, x, height, width):
    """Two lines of x at a time, even and odd columns apart: each has its share of the weights.

    Output line q of the walk is lines 2 q and 2 q + 1 of x, counted from one in the pad where that
    is needed; column j is columns 2 j and 2 j + 1. `odd` says which of them sees weight 0.
    """
    builder, turns = v.builder, -(-size // 2)
    # (column of the two, value of y from that under column j without a pad, column of the window)
    products = [
        (part, (part + odd - k) // 2, k)
        for part in range(2)
        for k in range(size)
        if (part + odd - k) % 2 == 0
    ]
    least = min(at for _, at, _ in products)
    most = max(at for _, at, _ in products)
    half_h, half_w = (builder.sdiv(pad, INDEX(2)) for pad in (pad_h, pad_w))
    top = builder.sub(half_h, INDEX(turns - 1))
    left = builder.add(half_w, INDEX(least))
    one = INDEX(1)
    walk = Walk(v, turns, most - least + 1, 1, y, lines, columns, top, left, one, one)
    pairs = builder.sdiv(builder.add(width, one), INDEX(2))
    last = builder.sdiv(builder.add(builder.sub(height, one), pad_h), INDEX(2))
    count = builder.add(builder.sub(last, half_h), one)
    above = builder.and_(pad_h, one)  # 1 where the first line of all is in the pad

    size_of_x = builder.mul(height, width)
    is_large = builder.icmp_signed(">", size_of_x, INDEX(LARGE_PLANE))
    n, _, close = count_up(builder, walk.vectors(pairs), [])
    j, is_short = walk.place(n, pairs)
    first, column = walk.column(j), builder.mul(j, INDEX(2))

    def store(h, both):
        line = builder.add(builder.mul(h, width), column)
        with builder.if_then(is_large):
            later = builder.gep(x, [builder.add(line, size_of_x)])
            for part in range(0, 2 * v.lanes, LINE_BYTES // v.align):
                v.prefetch(v.shift(later, part), writes=True)
        for half, value in enumerate(interleaved(v, *both)):
            start = builder.add(column, INDEX(half * v.lanes))
            room = builder.sub(width, start)
            rest = builder.sub(builder.mul(builder.sub(height, h), width), start)
            fits = builder.and_(is_short, builder.icmp_signed(">=", rest, INDEX(v.lanes)))
            fits = builder.or_(fits, builder.icmp_signed(">=", room, INDEX(v.lanes)))
            store_line(v, value, v.shift(builder.gep(x, [line]), half * v.lanes), fits, room)

    def down(guards):
        def step(q, waiting, read):
            sums = [v.zero] * 4 + waiting

            def change(pointer):
                new, values = list(sums), walk.taps(pointer, guards)
                v.prefetch(builder.gep(pointer, [builder.mul(lines, columns)]))
                for t in range(turns):
                    for part, at, k in products:
                        for row in range(2):
                            line = row + 2 * (turns - 1 - t)
                            if line < size:
                                place = 4 * t + 2 * row + part
                                weight = weights[line * size + k]
                                new[place] = v.fma(weight, values[at - least], new[place])
                return new

            sums = read(0, sums, change)
            done = builder.sub(q, INDEX(turns - 1))
            for row in range(2):
                h = builder.sub(builder.add(builder.mul(done, INDEX(2)), INDEX(row)), above)
                is_line = builder.and_(
                    builder.icmp_signed(">=", done, INDEX(0)),
                    builder.icmp_unsigned("<", h, height),
                )
                with builder.if_then(is_line):
                    store(h, sums[4 * (turns - 1) + 2 * row :][:2])
            return sums[: 4 * (turns - 1)]

        walk.down(count, first, [v.zero] * (4 * (turns - 1)), step)

    walk.guarded(first, down)
    close([])


for _size in SPREAD_SIZES:
    machine_code(_spread_code(_size), f"depthwise_spread{_size}")
for _size in SIZES:
    machine_code(_lines_code(_size), f"depthwise_lines{_size}")
    machine_code(_gradient_code(_size), f"depthwise_gradient{_size}")
