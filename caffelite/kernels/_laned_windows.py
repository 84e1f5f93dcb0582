"""Sums over single planes under windows of a few values, where lanes of vectors are channels.

Of an image (C, H, W), a laned array is (C / lanes, H, W, lanes).
"""

from ._depthwise_tiles import SIZES
from ._epilogue import finish_rows, from_channel
from ._simd import call_linked, lane_count, machine_code, operation
from ._vectors import INDEX, LINE_BYTES, choose, count_up, when
from .epilogue import stored

TOGETHER = 4
"""Neighbouring outputs that are computed at once: of each line, what they see is read once."""


def _laned_windows(
    size, stride, sets, lines, columns, w, w_at, x, x_at, height, width, top, left,
    epilogue, channel, y, y_at, y_step,
):  # fmt: skip
    lanes = lane_count(x)
    for c in range(sets * lanes):
        s, lane = c // lanes, c % lanes
        for i in range(lines):
            for j in range(columns):
                total = x.dtype.type(0)
                for k in range(size * size):
                    row, column = top + i * stride + k // size, left + j * stride + k % size
                    if 0 <= row < height and 0 <= column < width:
                        weight = w[w_at + (s * size * size + k) * lanes + lane]
                        pixel = (s * height + row) * width + column
                        total += weight * x[x_at + pixel * lanes + lane]
                at = y_at + s * y_step + (i * columns + j) * lanes + lane
                y[at] = stored(total, epilogue, channel + c)


@operation(_laned_windows)
def laned_windows(
    typing_context, size, stride, sets, lines, columns, w, w_at, x, x_at, height, width, top, left,
    epilogue, channel, y, y_at, y_step,
):  # fmt: skip
    """`depthwise_lines` of laned x and y, for `sets` of as many channels as a vector has lanes.

    `size`, of which see `variant`, is one of SIZES, and `stride` 1 or 2; gaps are 1. Weights are
    (sets, positions of the window, lanes). Sets of y are `y_step` apart.
    """
    arguments = (
        size, stride, sets, lines, columns, w, w_at, x, x_at, height, width, top, left,
        epilogue, channel, y, y_at, y_step,
    )  # fmt: skip
    return call_linked(None, "iiiii@@iiiiE@i", arguments)


def _laned_windows_code(size):
    def define(
        v, stride, sets, lines, columns, w, x, height, width, top, left, epilogue, y, y_step
    ):
        builder = v.builder
        w, x, y = v.pointer(w), v.pointer(x), v.pointer(y)
        place = lines, columns, height, width, top, left
        with choose(builder, stride, (1, 2)) as strides:
            for one in strides:
                s, _, close = count_up(builder, sets, [])
                plane = builder.mul(builder.mul(height, width), INDEX(v.lanes))
                own_w = builder.gep(w, [builder.mul(s, INDEX(size * size * v.lanes))])
                own_x = builder.gep(x, [builder.mul(s, plane)])
                own_y = builder.gep(y, [builder.mul(s, y_step)])
                finish = from_channel(v, epilogue, builder.mul(s, INDEX(v.lanes)))
                _Windows(v, size, one, own_w, own_x, *place, finish, own_y).all()
                close([])

    return define


class _Windows:
    """Emits the sums of one set of channels."""

    def __init__(
        self, v, size, stride, w, x, lines, columns, height, width, top, left, epilogue, y
    ):
        self.v, self.builder, self.size, self.stride = v, v.builder, size, stride
        self.x, self.y, self.epilogue = x, y, epilogue
        self.lines, self.columns, self.height, self.width = lines, columns, height, width
        self.top, self.left = top, left
        self.plane = v.builder.mul(v.builder.mul(height, width), INDEX(v.lanes))  # of x
        self.weights = [v.load(v.shift(w, k * v.lanes)) for k in range(size * size)]

    def all(self):
        """All lines of it."""
        builder = self.builder
        i, _, close = count_up(builder, self.lines, [])
        self._find_lines(builder.add(self.top, builder.mul(i, INDEX(self.stride))))
        self.to = self._pixel(self.y, builder.mul(i, self.columns))
        is_long = builder.icmp_signed(">=", self.columns, INDEX(TOGETHER))
        with builder.if_else(is_long) as (long, short):
            for branch, count in (long, TOGETHER), (short, 1):
                with branch:
                    self._line(count)
        close([])

    def _pixel(self, pointer, at):
        return self.builder.gep(pointer, [self.builder.mul(at, INDEX(self.v.lanes))])

    def _find_lines(self, first):
        """Find those under the windows: whether they are in x, and where."""
        builder, self.rows = self.builder, []
        for r in range(self.size):
            row = builder.add(first, INDEX(r))
            is_in = builder.icmp_unsigned("<", row, self.height)
            self.rows.append((is_in, self._pixel(self.x, builder.mul(row, self.width))))
        self.all_in = self.rows[0][0]
        for is_in, _ in self.rows[1:]:
            self.all_in = builder.and_(self.all_in, is_in)

    def _line(self, count):
        """A line of outputs, `count` at a time; the last ones may lie over some before them."""
        builder = self.builder
        turns = builder.sdiv(builder.add(self.columns, INDEX(count - 1)), INDEX(count))
        n, _, close = count_up(builder, turns, [])
        j, last = builder.mul(n, INDEX(count)), builder.sub(self.columns, INDEX(count))
        j = builder.select(builder.icmp_signed("<", j, last), j, last)
        start = builder.add(self.left, builder.mul(j, INDEX(self.stride)))
        end = builder.add(start, INDEX((count - 1) * self.stride + self.size))
        inside = builder.and_(
            builder.icmp_signed(">=", start, INDEX(0)), builder.icmp_signed("<=", end, self.width)
        )
        with builder.if_else(builder.and_(inside, self.all_in)) as (plain, edge):
            for branch in plain, edge:
                with branch:
                    self._some(count, j, start, guarded=branch is edge)
        close([])

    def _some(self, count, j, start, guarded):
        """`count` outputs from column j on, whose windows begin at column `start`."""
        v, sums = self.v, [self.v.zero] * count
        for r, (is_in, row) in enumerate(self.rows):

            def line(sums, r=r, row=row):
                return self._under(sums, r, row, start, guarded)

            sums = when(self.builder, is_in, sums, line) if guarded else line(sums)
        sums = finish_rows(v, [sums], self.epilogue, [v.first(INDEX(v.lanes))])
        at = self._pixel(self.to, j)
        for t, value in enumerate(sums):
            v.store(value, v.shift(at, t * v.lanes))

    def _under(self, sums, r, row, start, guarded):
        """The sums with what line r of their windows, which begins at `row`, adds."""
        v, builder, new = self.v, self.builder, list(sums)
        first = self._pixel(row, start)
        if r == self.size - 1:  # the same of the next set comes meanwhile
            later = builder.gep(first, [self.plane])
            for c in range(0, len(sums) * self.stride, LINE_BYTES // (v.lanes * v.align)):
                v.prefetch(v.shift(later, c * v.lanes))
        for c in range((len(sums) - 1) * self.stride + self.size):
            at = v.shift(first, c * v.lanes)
            if guarded:
                is_in = builder.icmp_unsigned("<", builder.add(start, INDEX(c)), self.width)
                value = v.load(builder.select(is_in, at, row))
                value = builder.select(is_in, value, v.zero)
            else:
                value = v.load(at)
            for t in range(len(sums)):
                k = c - t * self.stride
                if 0 <= k < self.size:
                    new[t] = v.fma(self.weights[r * self.size + k], value, new[t])
        return new


for _size in SIZES:
    machine_code(_laned_windows_code(_size), f"laned_windows{_size}")
