"""Vectors that go down a plane, under windows of a few values at a stride of 1 or 2.

A vector holds neighbouring outputs of a line. Of each line of input, the values under it are read
once for all lines of output that see them, which wait in registers until they are done. Values
beyond the plane are not read. At a stride of 2, even and odd values of two vectors are told apart
within 16 bytes, which is one instruction everywhere, and are put in order when they are stored.
"""

import copy

from llvmlite import ir

from ._vectors import INDEX, count_up, when


class Walk:
    """Emits the walk of a vector down a plane, under windows of `rows` x `size` values.

    The first one begins at line `top` and column `left`; values beyond the plane are `outside`.
    """

    def __init__(
        self, v, rows, size, stride, x, height, width, top, left, row_gap, column_gap, outside=0.0
    ):
        self.outside = outside
        self.v, self.builder, self.size, self.stride = v, v.builder, size, stride
        self.x, self.height, self.width = x, height, width
        self.top, self.left, self.row_gap, self.column_gap = top, left, row_gap, column_gap
        self.turns = -(-rows // stride)  # lines of output that see a line of input
        self.seen = [
            [t for t in range(self.turns) if row + t * stride < rows] for row in range(stride)
        ]
        self.integers = ir.VectorType(ir.IntType(8 * v.align), v.lanes)
        self.block = 16 // v.align  # values of which even and odd ones are told apart together

    def plane(self, c):
        """The same walk down the c-th plane from this one on."""
        walk = copy.copy(self)
        size = self.builder.mul(self.height, self.width)
        walk.x = self.builder.gep(self.x, [self.builder.mul(c, size)])
        return walk

    def vectors(self, columns):
        """How many of them a line takes."""
        lanes = INDEX(self.v.lanes)
        return self.builder.sdiv(self.builder.add(columns, INDEX(self.v.lanes - 1)), lanes)

    def place(self, n, columns):
        """(the first output of the n-th vector of a line, whether a line is shorter than one).

        The last vector of a line lies over the one before it.
        """
        builder = self.builder
        end = builder.sub(columns, INDEX(self.v.lanes))
        is_short = builder.icmp_signed("<", end, INDEX(0))
        j = builder.mul(n, INDEX(self.v.lanes))
        j = builder.select(builder.icmp_signed("<", j, end), j, end)
        return builder.select(is_short, INDEX(0), j), is_short

    def column(self, j):
        """That of the plane under output j's first one of the window."""
        return self.builder.add(self.left, self.builder.mul(j, INDEX(self.stride)))

    def is_inside(self, first):
        """Whether all that `taps` reads of a line lies in the plane."""
        last, _ = self._reads()[-1]
        beyond = self.builder.add(self.builder.add(first, last), INDEX(self.v.lanes))
        return self.builder.and_(
            self.builder.icmp_signed(">=", first, INDEX(0)),
            self.builder.icmp_signed("<=", beyond, self.width),
        )

    def _reads(self):
        """(how far from the window's first column, which part of its values) of each vector."""
        builder, lanes = self.builder, self.v.lanes
        if self.stride == 1:
            return [(builder.mul(self.column_gap, INDEX(k)), 0) for k in range(self.size)]
        return [(INDEX(k + part * lanes), part) for k in range(0, self.size, 2) for part in (0, 1)]

    def guards(self, first, counted=None):
        """For each vector that is read, negative integers in lanes of values that are to be.

        These lie in the plane, and, if it is given, in windows of the first `counted` outputs.
        """
        builder, v, kind = self.builder, self.v, self.integers
        lane = ir.Constant(kind, list(range(v.lanes)))

        def splat(value):
            narrow = value if kind.element == INDEX else builder.trunc(value, kind.element)
            return v.splat(narrow, kind)

        guards = []
        for offset, part in self._reads():
            column = builder.add(splat(builder.add(first, offset)), lane)
            guard = builder.icmp_unsigned("<", column, splat(self.width))
            if counted is not None:
                end = builder.mul(counted, INDEX(self.stride))
                end = splat(builder.sub(end, INDEX(part * v.lanes)))
                guard = builder.and_(guard, builder.icmp_signed("<", lane, end))
            guards.append(builder.sext(guard, kind))
        return guards

    def guarded(self, first, down):
        """Emit down(None) for where `is_inside` holds, down(guards) for elsewhere."""
        with self.builder.if_else(self.is_inside(first)) as (inside, edge):
            with inside:
                down(None)
            with edge:
                down(self.guards(first))

    def taps(self, pointer, guards):
        """Values under each column of the windows, from that of the first on, in `order`."""
        v, builder, read = self.v, self.builder, []
        for i, (offset, _) in enumerate(self._reads()):
            at = builder.gep(pointer, [offset])
            if guards is None:
                read.append(v.load(at))
            else:
                mask = builder.icmp_signed("<", guards[i], ir.Constant(self.integers, None))
                value = v.masked_load(at, mask)
                if self.outside:
                    value = builder.select(mask, value, v.number(self.outside))
                read.append(value)
        if self.stride == 1:
            return read
        found = []
        for low, high in zip(read[::2], read[1::2], strict=True):
            for odd in (0, 1):
                blocks, inner = range(0, v.lanes, self.block), range(odd, self.block, 2)
                both = [(start, part) for start in blocks for part in (0, v.lanes)]
                picks = [part + start + i for start, part in both for i in inner]
                found.append(v.shuffle(low, high, picks))
        return found[: self.size]

    def order(self):
        """For each output of a vector, the lane where `taps` has its values."""
        lanes, half = self.v.lanes, self.block // 2
        if self.stride == 1:
            return list(range(lanes))
        places = [divmod(i, lanes // 2) for i in range(lanes)]
        return [i // half * self.block + part * half + i % half for part, i in places]

    def ordered(self, value):
        """A vector in the `order` of outputs."""
        return value if self.stride == 1 else self.v.shuffle(value, value, self.order())

    def down(self, lines, first, start, step):
        """Go down `lines` lines of output, and `turns` - 1 more; the values after it.

        `step(q, values, read)` makes new values; `read(row, values, change)` those that
        change(pointer) makes of them if line `row` of the windows of line q lies in the plane.
        """
        builder = self.builder
        q, values, close = count_up(builder, builder.add(lines, INDEX(self.turns - 1)), start)

        def read(row, values, change):
            at = builder.add(builder.mul(q, INDEX(self.stride)), INDEX(row))
            line = builder.add(self.top, builder.mul(at, self.row_gap))
            inside = builder.icmp_unsigned("<", line, self.height)
            pointer = builder.gep(self.x, [builder.add(builder.mul(line, self.width), first)])
            return when(builder, inside, values, lambda _: change(pointer))

        return close(step(q, values, read))


def store_line(v, value, to, fits, count):
    """Store a vector; where it does not fit, its first `count` lanes.

    One that is longer than its line fits, too, where lines behind it are stored later: masks cost
    more than to store values twice.
    """
    with v.builder.if_else(fits) as (whole, part):
        with whole:
            v.store(value, to)
        with part:
            v.masked_store(value, to, v.first(count))
