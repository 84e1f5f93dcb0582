"""The largest values of windows of a few values: vectors go down planes, see `_walk`."""

from ._simd import call_linked, machine_code, operation
from ._vectors import INDEX, choose, count_up
from ._walk import Walk, store_line
from ._windows import LOWEST

SIZES = 2, 3
"""Lines and columns of windows."""


def _max_lines(size, stride, lines, columns, x, x_at, height, width, top, left, y, y_at):
    for i in range(lines):
        for j in range(columns):
            rows = range(max(top + i * stride, 0), min(top + i * stride + size, height))
            start = left + j * stride
            across = range(max(start, 0), min(start + size, width))
            seen = (x[x_at + row * width + column] for row in rows for column in across)
            above = (value for value in seen if value > LOWEST)
            y[y_at + i * columns + j] = max(above, default=LOWEST)


@operation(_max_lines)
def max_lines(
    typing_context, size, stride, lines, columns, x, x_at, height, width, top, left, y, y_at
):
    """y = the largest value in each window that is above LOWEST, which is in those without.

    Window (i, j), of `size` lines and columns, one of SIZES, begins at line top + i * stride and
    column left + j * stride of a plane, and is clipped to it; `stride` is 1 or 2.
    """
    arguments = (size, stride, lines, columns, x, x_at, height, width, top, left, y, y_at)
    return call_linked("max_lines", "iiii@iiii@", arguments, SIZES)


def _max_code(size):
    def define(v, stride, lines, columns, x, height, width, top, left, y):
        one, plane = INDEX(1), v.pointer(x)
        with choose(v.builder, stride, (1, 2)) as each:
            for step in each:
                walk = Walk(v, size, size, step, plane, height, width, top, left, one, one, LOWEST)
                _largest(walk, lines, columns, v.pointer(y))

    return define


def _largest(walk, lines, columns, y):
    v, builder, turns = walk.v, walk.builder, walk.turns
    n, _, close = count_up(builder, walk.vectors(columns), [])
    j, is_short = walk.place(n, columns)
    first, target = walk.column(j), builder.gep(y, [j])

    def larger(new, old):
        return builder.select(builder.fcmp_ordered(">", new, old), new, old)

    def store(i, value):
        room = builder.mul(builder.sub(lines, i), columns)
        fits = builder.or_(builder.not_(is_short), builder.icmp_signed(">=", room, INDEX(v.lanes)))
        to = builder.gep(target, [builder.mul(i, columns)])
        store_line(v, walk.ordered(value), to, fits, columns)

    def down(guards):
        def step(q, waiting, read):
            found = [v.number(LOWEST), *waiting]
            for row, seen in enumerate(walk.seen):

                def change(pointer, seen=seen, found=found):
                    of_line = v.number(LOWEST)
                    for value in walk.taps(pointer, guards):
                        of_line = larger(value, of_line)
                    return [larger(of_line, f) if t in seen else f for t, f in enumerate(found)]

                found = read(row, found, change)
            with builder.if_then(builder.icmp_signed(">=", q, INDEX(turns - 1))):
                store(builder.sub(q, INDEX(turns - 1)), found[-1])
            return found[:-1]

        walk.down(lines, first, [v.number(LOWEST)] * (turns - 1), step)

    walk.guarded(first, down)
    close([])


for _size in SIZES:
    machine_code(_max_code(_size), f"max_lines{_size}")
