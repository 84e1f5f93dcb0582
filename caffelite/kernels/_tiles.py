"""Tiles of a matrix product held in registers, and squares transposed in registers."""

from llvmlite import ir

from ._epilogue import finish_rows
from ._simd import call_linked, lane_count, machine_code, operation
from ._vectors import INDEX, REGISTERS, choose, count_up
from .epilogue import stored

TILE_VECTORS = 2
"""Vectors per row of a register tile."""
TILE_ROWS = 14 if REGISTERS == 32 else 6
"""Most rows of a register tile: rows * TILE_VECTORS accumulators fill the registers but a few."""


def _tile(rows, depth, a, a_at, b, b_at, b_step, c, c_at, c_step, columns, accumulate):
    for r in range(rows):
        for j in range(columns):
            total = c[c_at + r * c_step + j] if accumulate else c.dtype.type(0)
            for k in range(depth):
                total += a[a_at + k * rows + r] * b[b_at + k * b_step + j]
            c[c_at + r * c_step + j] = total


@operation(_tile)
def tile(
    typing_context, rows, depth, a, a_at, b, b_at, b_step, c, c_at, c_step, columns, accumulate
):
    """c[r, j] (+)= sum over k of a[k, r] * b[k, j], up to TILE_ROWS rows, TILE_VECTORS vectors.

    `a` is packed: depth by rows. Rows of `b` and `c` are `b_step` and `c_step` apart. Reads whole
    vectors of `b`, also past the last column; writes only the first `columns` columns of `c`.
    """
    arguments = (rows, depth, a, a_at, b, b_at, b_step, c, c_at, c_step, columns, accumulate)
    return call_linked("tile", "ii@@i@iii", arguments)


@operation(_tile)
def narrow_tile(
    typing_context, rows, depth, a, a_at, b, b_at, b_step, c, c_at, c_step, columns, accumulate
):
    """A `tile` of one vector."""
    arguments = (rows, depth, a, a_at, b, b_at, b_step, c, c_at, c_step, columns, accumulate)
    return call_linked("narrow_tile", "ii@@i@iii", arguments)


def _tile_code(width):
    def define(v, rows, depth, a, b, b_step, c, c_step, columns, accumulate):
        builder = v.builder
        a, b, c = v.pointer(a), v.pointer(b), v.pointer(c)
        with choose(builder, rows, range(1, TILE_ROWS + 1)) as heights:
            for height in heights:
                k, sums, close = count_up(builder, depth, [v.zero] * (height * width))
                a_row = builder.gep(a, [builder.mul(k, ir.Constant(INDEX, height))])
                b_row = builder.gep(b, [builder.mul(k, b_step)])
                right = [v.load(v.shift(b_row, j * v.lanes)) for j in range(width)]
                left = [v.shift(a_row, r) for r in range(height)]
                sums = close(add_products(v, left, right, sums))
                write_tile(v, sums, c, c_step, columns, accumulate, width)

    return define


machine_code(_tile_code(TILE_VECTORS), "tile")
machine_code(_tile_code(1), "narrow_tile")


def add_products(v, left, right, sums):
    """sums[r, j] + left[r] * right[j]: `left` are pointers to values, `right` vectors."""
    new = []
    for pointer in left:
        value = v.splat(v.builder.load(pointer))
        new += [v.fma(value, x, sums[len(new) + j]) for j, x in enumerate(right)]
    return new


def write_tile(v, sums, c, c_step, columns, accumulate, width=TILE_VECTORS):
    """Store sums[r * width + j] to row r, vector j of c; add if `accumulate`."""
    builder = v.builder
    rows = v.rows(c, c_step, len(sums) // width)
    whole = builder.icmp_signed("==", columns, ir.Constant(INDEX, width * v.lanes))
    add = builder.icmp_signed("!=", accumulate, ir.Constant(INDEX, 0))

    def store(adding, masks):
        for i, value in enumerate(sums):
            at = v.shift(rows[i // width], i % width * v.lanes)
            mask = masks and masks[i % width]
            if adding:
                old = v.masked_load(at, mask) if mask else v.load(at)
                value = builder.fadd(old, value)
            if mask:
                v.masked_store(value, at, mask)
            else:
                v.store(value, at)

    with builder.if_else(whole) as (full, part):
        for branch in (full, part):
            with branch:
                ends = [ir.Constant(INDEX, j * v.lanes) for j in range(width)]
                masks = branch is part and [v.first(builder.sub(columns, end)) for end in ends]
                with builder.if_else(add) as (adding, assigning):
                    with adding:
                        store(True, masks)
                    with assigning:
                        store(False, masks)


DOT_ROWS, DOT_COLUMNS = (4, 6) if REGISTERS == 32 else (3, 3)
"""Largest tile of `dot_tile`: its products and one column of vectors fill the registers."""


def _dot_tile(rows, columns, depth, a, a_at, a_step, b, b_at, b_step, c, c_at, c_step):
    for r in range(rows):
        for j in range(columns):
            for k in range(depth):
                c[c_at + r * c_step + j] += a[a_at + r * a_step + k] * b[b_at + j * b_step + k]


@operation(_dot_tile)
def dot_tile(
    typing_context, rows, columns, depth, a, a_at, a_step, b, b_at, b_step, c, c_at, c_step
):
    """c[r, j] += sum over k of a[r, k] * b[j, k], up to DOT_ROWS rows and DOT_COLUMNS columns.

    Lanes run along k, so neither matrix needs packing or transposing.
    """
    arguments = (rows, columns, depth, a, a_at, a_step, b, b_at, b_step, c, c_at, c_step)
    return call_linked("dot_tile", "iii@i@i@i", arguments)


@machine_code
def _dot_tile_code(v, rows, columns, depth, a, a_step, b, b_step, c, c_step):
    builder, per_vector = v.builder, ir.Constant(INDEX, v.lanes)
    whole = builder.sdiv(depth, per_vector)
    end = builder.mul(whole, per_vector)
    rest = builder.sub(depth, end)
    some = builder.zext(builder.icmp_signed(">", rest, ir.Constant(INDEX, 0)), INDEX)
    mask = v.first(rest)

    def products(sums, a_rows, b_rows, at, load):
        right = [load(builder.gep(row, [at])) for row in b_rows]
        new = []
        for row in a_rows:
            left = load(builder.gep(row, [at]))
            new += [v.fma(left, x, sums[len(new) + j]) for j, x in enumerate(right)]
        return new

    size = builder.add(builder.mul(rows, ir.Constant(INDEX, 16)), columns)
    sizes = [16 * r + j for r in range(1, DOT_ROWS + 1) for j in range(1, DOT_COLUMNS + 1)]
    with choose(builder, size, sizes) as each:
        for height, width in (divmod(case, 16) for case in each):
            a_rows = v.rows(v.pointer(a), a_step, height)
            b_rows = v.rows(v.pointer(b), b_step, width)
            i, sums, close = count_up(builder, whole, [v.zero] * (height * width))
            at = builder.mul(i, per_vector)
            sums = close(products(sums, a_rows, b_rows, at, v.load))
            _, sums, close = count_up(builder, some, sums)
            sums = close(products(sums, a_rows, b_rows, end, lambda at: v.masked_load(at, mask)))
            for r, row in enumerate(v.rows(v.pointer(c), c_step, height)):
                for j in range(width):
                    at = v.shift(row, j)
                    total = v.total(sums[r * width + j])
                    builder.store(builder.fadd(builder.load(at), total), at)


LINE_SEGMENTS = 4
"""Most lines that a vector of `line_tile` may touch."""


def have_near(v, rows, c, c_step, width):
    """Have `rows` rows of `width` vectors that are to be written near by the time they are."""
    r, _, close = count_up(v.builder, rows, [])
    row = v.builder.gep(c, [v.builder.mul(r, c_step)])
    for j in range(width):
        v.prefetch(v.shift(row, j * v.lanes), writes=True, level=1)
    close([])


def _line_tile(
    segments, rows, depth, a, a_at, x, x_at, offsets, offsets_at, vectors, vectors_at,
    epilogue, channel, c, c_at, c_step, columns,
):  # fmt: skip
    width = lane_count(x)
    for j in range(columns):
        lane = j % width
        row = vectors_at + j // width * 2 * segments
        starts = vectors[row + segments : row + 2 * segments]
        base = [vectors[row + s] for s in range(segments) if starts[s] <= lane][-1] + lane
        for r in range(rows):
            value = sum(
                a[a_at + k * rows + r] * x[x_at + base + offsets[offsets_at + k]]
                for k in range(depth)
            )
            c[c_at + r * c_step + j] = stored(value, epilogue, channel + r)


@operation(_line_tile)
def line_tile(
    typing_context, segments, rows, depth, a, a_at, x, x_at, offsets, offsets_at, vectors,
    vectors_at, epilogue, channel, c, c_at, c_step, columns,
):  # fmt: skip
    """c[r, j] = sum over k of a[k, r] * x[base[j] + offsets[k]]: a `tile` that finds B in place.

    Row r is stored as channel `channel` + r of the epilogue says.

    `base` says where each column's pixel lies. For each vector, `vectors` has where lane 0 of each
    of its segments (at most LINE_SEGMENTS) would lie, then the lane at which each begins: a
    vector may run over the ends of lines. Whole vectors are read around each segment. The first
    argument is the `variant` for so many segments.
    """
    arguments = (
        segments, rows, depth, a, a_at, x, x_at, offsets, offsets_at, vectors, vectors_at,
        epilogue, channel, c, c_at, c_step, columns,
    )  # fmt: skip
    return call_linked(None, "iii@@##E@ii", arguments)


def _line_tile_code(segments):
    def define(v, rows, depth, a, x, offsets, vectors, epilogue, c, c_step, columns):
        builder, width = v.builder, TILE_VECTORS
        a, x, c = v.pointer(a), v.pointer(x), v.pointer(c)
        offsets, vectors = v.table(offsets), v.table(vectors)
        starts = [
            [builder.gep(x, [v.integer(vectors, (2 * j) * segments + s)]) for s in range(segments)]
            for j in range(width)
        ]
        masks = [
            [v.first(v.integer(vectors, (2 * j + 1) * segments + s)) for s in range(1, segments)]
            for j in range(width)
        ]
        have_near(v, rows, c, c_step, width)
        with choose(builder, rows, range(1, TILE_ROWS + 1)) as heights:
            for height in heights:
                k, sums, close = count_up(builder, depth, [v.zero] * (height * width))
                a_row = builder.gep(a, [builder.mul(k, ir.Constant(INDEX, height))])
                offset = v.integer(offsets, k)
                right = []
                for j in range(width):
                    parts = [v.load(builder.gep(start, [offset])) for start in starts[j]]
                    value = parts[0]
                    for mask, part in zip(masks[j], parts[1:], strict=True):
                        value = builder.select(mask, value, part)
                    right.append(value)
                left = [v.shift(a_row, r) for r in range(height)]
                sums = close(add_products(v, left, right, sums))
                by_row = [sums[i : i + width] for i in range(0, len(sums), width)]
                sums = finish_rows(v, by_row, epilogue)
                write_tile(v, sums, c, c_step, columns, ir.Constant(INDEX, 0))

    return define


for _segments in range(1, LINE_SEGMENTS + 1):
    machine_code(_line_tile_code(_segments), f"line_tile{_segments}")


PIXEL_ROWS = 9 if REGISTERS == 32 else 6
"""Most rows of `pixel_tile`: each needs an address register, too."""


def _pixel_tile(
    rows, depth, x, x_at, pixels, pixels_at, offsets, offsets_at, b, b_at, c, c_at, c_step
):
    width = TILE_VECTORS * lane_count(b)
    for r in range(rows):
        for p in range(depth):
            value = x[x_at + pixels[pixels_at + p] + offsets[offsets_at + r]]
            for j in range(width):
                c[c_at + r * c_step + j] += value * b[b_at + p * width + j]


@operation(_pixel_tile)
def pixel_tile(
    typing_context, rows, depth, x, x_at, pixels, pixels_at, offsets, offsets_at, b, b_at,
    c, c_at, c_step,
):  # fmt: skip
    """c[r, j] += sum over p of x[pixels[p] + offsets[r]] * b[p, j], for TILE_VECTORS vectors.

    A `tile` of up to PIXEL_ROWS rows that finds A in place and sums over pixels. `b` is packed:
    depth by whole vectors.
    """
    arguments = (
        rows, depth, x, x_at, pixels, pixels_at, offsets, offsets_at, b, b_at, c, c_at, c_step,
    )  # fmt: skip
    return call_linked("pixel_tile", "ii@##@@i", arguments)


@machine_code
def _pixel_tile_code(v, rows, depth, x, pixels, offsets, b, c, c_step):
    builder, width = v.builder, TILE_VECTORS
    x, b, c = v.pointer(x), v.pointer(b), v.pointer(c)
    pixels, offsets = v.table(pixels), v.table(offsets)
    with choose(builder, rows, range(1, PIXEL_ROWS + 1)) as heights:
        for height in heights:
            starts = [builder.gep(x, [v.integer(offsets, r)]) for r in range(height)]
            p, sums, close = count_up(builder, depth, [v.zero] * (height * width))
            pixel = v.integer(pixels, p)
            b_row = builder.gep(b, [builder.mul(p, ir.Constant(INDEX, width * v.lanes))])
            right = [v.load(v.shift(b_row, j * v.lanes)) for j in range(width)]
            left = [builder.gep(start, [pixel]) for start in starts]
            sums = close(add_products(v, left, right, sums))
            for i, row in enumerate(v.rows(c, c_step, height)):
                for j in range(width):
                    at = v.shift(row, j * v.lanes)
                    v.store(builder.fadd(v.load(at), sums[i * width + j]), at)


def transposed(v, rows):
    """As many vectors as one has lanes, lane i of row j and lane j of row i exchanged."""
    rows, half = list(rows), v.lanes // 2
    while half:
        # swap the off-diagonal blocks of size `half` in every pair of rows `half` apart
        lanes = [(lane, lane & half) for lane in range(v.lanes)]
        upper = [v.lanes + lane - half if low else lane for lane, low in lanes]
        lower = [v.lanes + lane if low else lane + half for lane, low in lanes]
        for i in range(v.lanes):
            if not i & half:
                pair = rows[i], rows[i + half]
                rows[i], rows[i + half] = v.shuffle(*pair, upper), v.shuffle(*pair, lower)
        half //= 2
    return rows


def _transpose(a, a_at, a_step, c, c_at, c_step):
    for j in range(lane_count(a)):  # a row of c after the one before it: they may overlap
        for i in range(lane_count(a)):
            c[c_at + j * c_step + i] = a[a_at + i * a_step + j]


@operation(_transpose)
def transpose(typing_context, a, a_at, a_step, c, c_at, c_step):
    """c[j, i] = a[i, j] for a square of as many rows and columns as a vector has lanes."""
    return call_linked("transpose", "@i@i", (a, a_at, a_step, c, c_at, c_step))


@machine_code
def _transpose_code(v, a, a_step, c, c_step):
    rows = transposed(v, [v.load(row) for row in v.rows(v.pointer(a), a_step, v.lanes)])
    for value, row in zip(rows, v.rows(v.pointer(c), c_step, v.lanes), strict=True):
        v.store(value, row)


def _transpose_some(rows, columns, a, a_at, a_step, c, c_at, c_step):
    for i in range(rows):
        for j in range(columns):
            c[c_at + j * c_step + i] = a[a_at + i * a_step + j]


@operation(_transpose_some)
def transpose_some(typing_context, rows, columns, a, a_at, a_step, c, c_at, c_step):
    """c[j, i] = a[i, j] for a part of such a square; nothing else is read or written."""
    return call_linked(
        "transpose_some", "ii@i@i", (rows, columns, a, a_at, a_step, c, c_at, c_step)
    )


@machine_code
def _transpose_some_code(v, rows, columns, a, a_step, c, c_step):
    builder = v.builder

    def masks(count, width):
        """Of each row its first `width` values; none of those from the `count`-th on."""
        for i in range(v.lanes):
            is_there = builder.icmp_signed("<", INDEX(i), count)
            yield v.first(builder.select(is_there, width, INDEX(0)))

    reads, writes = masks(rows, columns), masks(columns, rows)
    pointers = v.rows(v.pointer(a), a_step, v.lanes)
    square = [v.masked_load(row, mask) for row, mask in zip(pointers, reads, strict=True)]
    pointers = v.rows(v.pointer(c), c_step, v.lanes)
    for value, row, mask in zip(transposed(v, square), pointers, writes, strict=True):
        v.masked_store(value, row, mask)
