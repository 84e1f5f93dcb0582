"""Tiles of a matrix product whose weights or pixels are packed in panels, and copies of panels."""

from llvmlite import ir

from ._epilogue import finish_rows
from ._simd import call_linked, lane_count, machine_code, operation
from ._tiles import TILE_ROWS, TILE_VECTORS, add_products, have_near, write_tile
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


PANELS_AHEAD = 8
"""Panels by which `copy_panel` has values come near: those of a row may come from memory."""


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
                            v.prefetch(v.shift(at, PANELS_AHEAD * width * v.lanes))
                            v.store(v.load(at), to)
                        else:
                            v.masked_store(v.masked_load(at, masks[j]), to, masks[j])
                    close([])

    return define


for _width in range(1, TILE_VECTORS + 1):
    machine_code(_copy_panel_code(_width), f"copy_panel{_width}")
