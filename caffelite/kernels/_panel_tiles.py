"""Tiles of a matrix product whose weights or pixels are packed in panels, and copies of panels."""

from llvmlite import ir

from ._epilogue import finish_rows, hold
from ._simd import call_linked, lane_count, machine_code, operation
from ._tiles import TILE_ROWS, TILE_VECTORS, add_products, have_near, transposed, write_tile
from ._vectors import INDEX, choose, count_up, when
from .epilogue import stored


def _panel_tile(
    width, rows, depth, a, a_at, b, b_at, epilogue, channel, addend, addend_at, adds,
    c, c_at, c_step, columns,
):  # fmt: skip
    panel = width * lane_count(b)
    for r in range(rows):
        for j in range(columns):
            value = sum(a[a_at + k * rows + r] * b[b_at + k * panel + j] for k in range(depth))
            more = addend[addend_at + r * c_step + j] if adds else 0
            c[c_at + r * c_step + j] = stored(value, epilogue, channel + r, more)


@operation(_panel_tile)
def panel_tile(
    typing_context, width, rows, depth, a, a_at, b, b_at, epilogue, channel, addend, addend_at,
    adds, c, c_at, c_step, columns,
):  # fmt: skip
    """c[r, j] = sum over k of a[k, r] * b[k, j]: a `tile` of a panel, `width` vectors of columns.

    `b` is packed: depth by width (at most TILE_VECTORS) vectors. Row r is stored as channel
    `channel` + r of the epilogue says, the first `columns` columns of it. If `adds`, what lies in
    `addend` as c does is added before the activation.
    """
    arguments = (
        width, rows, depth, a, a_at, b, b_at, epilogue, channel, addend, addend_at, adds,
        c, c_at, c_step, columns,
    )  # fmt: skip
    return call_linked("panel_tile", "iii@@E@i@ii", arguments, range(1, TILE_VECTORS + 1))


def _panel_tile_code(width):
    def define(v, rows, depth, a, b, epilogue, addend, adds, c, c_step, columns):
        builder = v.builder
        a, b, c, addend = v.pointer(a), v.pointer(b), v.pointer(c), v.pointer(addend)
        adding = builder.icmp_signed("!=", adds, ir.Constant(INDEX, 0))
        firsts = [ir.Constant(INDEX, j * v.lanes) for j in range(width)]
        masks = [v.first(builder.sub(columns, first)) for first in firsts]

        def add(values):
            terms = [
                v.masked_load(v.shift(row, j * v.lanes), masks[j])
                for row in v.rows(addend, c_step, len(values) // width)
                for j in range(width)
            ]
            return [builder.fadd(value, term) for value, term in zip(values, terms, strict=True)]

        have_near(v, rows, c, c_step, width)
        with choose(builder, rows, range(1, TILE_ROWS + 1)) as heights:
            for height in heights:
                k, sums, close = count_up(builder, depth, [v.zero] * (height * width))
                a_row = builder.gep(a, [builder.mul(k, ir.Constant(INDEX, height))])
                b_row = builder.gep(b, [builder.mul(k, ir.Constant(INDEX, width * v.lanes))])
                right = [v.load(v.shift(b_row, j * v.lanes)) for j in range(width)]
                left = [v.shift(a_row, r) for r in range(height)]
                sums = close(add_products(v, left, right, sums))
                by_row = [sums[i : i + width] for i in range(0, len(sums), width)]
                sums = finish_rows(
                    v, by_row, epilogue, add=lambda values: when(builder, adding, values, add)
                )
                write_tile(v, sums, c, c_step, columns, ir.Constant(INDEX, 0), width)

    return define


for _width in range(1, TILE_VECTORS + 1):
    machine_code(_panel_tile_code(_width), f"panel_tile{_width}")


AHEAD = 32
"""Steps of depth by which `turned_tile` has values come near before it reads them."""
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
        builder, width = v.builder, TILE_VECTORS
        x, b, c, addend = v.pointer(x), v.pointer(b), v.pointer(c), v.pointer(addend)
        later_b = builder.gep(b, [ahead])
        adding = builder.icmp_signed("!=", adds, ir.Constant(INDEX, 0))
        firsts = [ir.Constant(INDEX, j * v.lanes) for j in range(width)]
        masks = [v.first(builder.sub(columns, first)) for first in firsts]
        j, _, close = count_up(builder, columns, [])
        start = builder.mul(j, c_step)
        for end in start, builder.add(start, builder.sub(rows, ir.Constant(INDEX, 1))):
            v.prefetch(builder.gep(c, [end]), writes=True, level=1)
            with builder.if_then(adding):
                v.prefetch(builder.gep(addend, [end]), level=1)
        close([])

        def plus(term, mask):
            return lambda values: [builder.fadd(values[0], v.masked_load(term, mask))]

        with choose(builder, rows, range(1, TILE_ROWS + 1)) as heights:
            for height in heights:
                k, sums, close = count_up(builder, depth, [v.zero] * (height * width))
                x_row = builder.gep(x, [builder.mul(k, x_step)])
                b_row = builder.gep(b, [builder.mul(k, ir.Constant(INDEX, width * v.lanes))])
                right = [v.load(v.shift(b_row, j * v.lanes)) for j in range(width)]
                left = [v.shift(x_row, r * step) for r in range(height)]
                later_x = builder.gep(x_row, [builder.mul(x_step, INDEX(AHEAD))])
                for r in {0, height - 1, height // 2 * (step - 1)}:
                    v.prefetch(v.shift(later_x, r * step), level=1)
                soon = builder.gep(later_b, [builder.mul(k, ahead_step)])
                for j in range(width):
                    v.prefetch(v.shift(soon, j * v.lanes))
                sums = close(add_products(v, left, right, sums))
                by_vector = [sums[j::width] for j in range(width)]
                sums = finish_rows(v, by_vector, epilogue, masks, add=True)
                some = v.first(ir.Constant(INDEX, height))
                for j, first in enumerate(firsts):
                    square = sums[j * height : (j + 1) * height]
                    square = transposed(v, square + [v.zero] * (v.lanes - height))
                    for lane, value in enumerate(square):
                        at = builder.add(first, ir.Constant(INDEX, lane))
                        with builder.if_then(builder.icmp_signed("<", at, columns)):
                            at = [builder.mul(at, c_step)]
                            (value,) = when(
                                builder, adding, [value], plus(builder.gep(addend, at), some)
                            )
                            value = hold(v, value, *epilogue[6:])
                            v.masked_store(value, builder.gep(c, at), some)

    return define


for _step in TURNED_STEPS:
    machine_code(_turned_tile_code(_step), f"turned_tile{_step}")


def _copy_panel(width, rows, x, x_at, x_step, c, c_at, c_step, columns):
    for r in range(rows):
        for j in range(columns):
            c[c_at + r * c_step + j] = x[x_at + r * x_step + j]


@operation(_copy_panel)
def copy_panel(typing_context, width, rows, x, x_at, x_step, c, c_at, c_step, columns):
    """c[r, j] = x[r, j] for so many rows and columns, at most `width` (to TILE_VECTORS) vectors."""
    arguments = (width, rows, x, x_at, x_step, c, c_at, c_step, columns)
    return call_linked("copy_panel", "ii@i@ii", arguments, range(1, TILE_VECTORS + 1))


def _copy_panel_code(width):
    def define(v, rows, x, x_step, c, c_step, columns):
        builder = v.builder
        x, c = v.pointer(x), v.pointer(c)
        masks = [
            v.first(builder.sub(columns, ir.Constant(INDEX, j * v.lanes))) for j in range(width)
        ]
        whole = builder.icmp_signed("==", columns, ir.Constant(INDEX, width * v.lanes))
        with builder.if_else(whole) as (full, part):
            for branch in (full, part):
                with branch:
                    r, _, close = count_up(builder, rows, [])
                    source = builder.gep(x, [builder.mul(r, x_step)])
                    target = builder.gep(c, [builder.mul(r, c_step)])
                    for j in range(width):
                        at, to = (v.shift(row, j * v.lanes) for row in (source, target))
                        if branch is full:
                            v.prefetch(v.shift(at, width * v.lanes), level=1)
                            v.store(v.load(at), to)
                        else:
                            v.masked_store(v.masked_load(at, masks[j]), to, masks[j])
                    close([])

    return define


for _width in range(1, TILE_VECTORS + 1):
    machine_code(_copy_panel_code(_width), f"copy_panel{_width}")
