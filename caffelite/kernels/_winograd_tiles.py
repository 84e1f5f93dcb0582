"""The transforms of Winograd's F(4x4, 3x3), a lane for each tile of pixels or each kernel."""

from itertools import chain

import numpy as np

from ._epilogue import finish_rows
from ._simd import call_linked, lane_count, machine_code, operation
from .epilogue import stored

WINOGRAD_INPUT = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
WINOGRAD_OUTPUT = np.array(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]
)
WINOGRAD_WEIGHT = (
    np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
)
WINOGRAD_WEIGHT[0, 0] = 1 / 4


def _winograd_input(x, x_at, x_step, c, c_at, c_step):
    for lane in range(lane_count(x)):
        patch = [[x[x_at + i * x_step + 4 * lane + j] for j in range(6)] for i in range(6)]
        values = WINOGRAD_INPUT @ patch @ WINOGRAD_INPUT.T
        c[c_at + lane : c_at + lane + 36 * c_step : c_step] = values.reshape(-1)


@operation(_winograd_input)
def winograd_input(typing_context, x, x_at, x_step, c, c_at, c_step):
    """c[p, t] = (B' d B)[p]: transform a run of 6 by 6 patches d, 4 columns apart, a lane each."""
    return call_linked("winograd_input", "@i@i", (x, x_at, x_step, c, c_at, c_step))


def _winograd_output(x, x_at, x_step, epilogue, channel, c, c_at, c_step):
    for lane in range(lane_count(x)):
        products = x[x_at + lane : x_at + lane + 36 * x_step : x_step].reshape(6, 6)
        values = WINOGRAD_OUTPUT @ products @ WINOGRAD_OUTPUT.T
        for i in range(4):
            for j in range(4):
                value = stored(values[i, j], epilogue, channel)
                c[c_at + i * c_step + 4 * lane + j] = value


@operation(_winograd_output)
def winograd_output(typing_context, x, x_at, x_step, epilogue, channel, c, c_at, c_step):
    """4 lines of pixels from products x[p, t]: tile t is A' x A, at columns 4 t to 4 t + 3.

    They are stored as channel `channel` of the epilogue says.
    """
    arguments = (x, x_at, x_step, epilogue, channel, c, c_at, c_step)
    return call_linked("winograd_output", "@iE@i", arguments)


def _winograd_weight(count, x, x_at, x_step, c, c_at, c_step):
    for lane in range(count):
        window = x[x_at + lane + x_step * np.arange(9)].reshape(3, 3)
        values = WINOGRAD_WEIGHT @ window @ WINOGRAD_WEIGHT.T
        c[c_at + lane : c_at + lane + 36 * c_step : c_step] = values.reshape(-1)


@operation(_winograd_weight)
def winograd_weight(typing_context, count, x, x_at, x_step, c, c_at, c_step):
    """c[p, m] = (G g G')[p] for `count` kernels g = x[:, m], at most a lane each.

    With a negative `x_step`, kernels are read transposed: from the last position on.
    """
    return call_linked("winograd_weight", "i@i@i", (count, x, x_at, x_step, c, c_at, c_step))


def _winograd_gradient(x, x_at, line_step, pixel_step, c, c_at, c_step):
    for lane in range(lane_count(x)):
        at = x_at + lane + line_step * np.arange(4)[:, None] + pixel_step * np.arange(4)
        values = WINOGRAD_OUTPUT.T @ x[at] @ WINOGRAD_OUTPUT
        c[c_at + lane : c_at + lane + 36 * c_step : c_step] = values.reshape(-1)


@operation(_winograd_gradient)
def winograd_gradient(typing_context, x, x_at, line_step, pixel_step, c, c_at, c_step):
    """c[p, m] = (A e A')[p] for 4 by 4 tiles e of an output's gradient, a lane for each output."""
    arguments = (x, x_at, line_step, pixel_step, c, c_at, c_step)
    return call_linked("winograd_gradient", "@ii@i", arguments)


def _winograd_weight_gradient(x, x_at, x_step, c, c_at, c_step):
    for lane in range(lane_count(x)):
        sums = x[x_at + lane : x_at + lane + 36 * x_step : x_step].reshape(6, 6)
        values = WINOGRAD_WEIGHT.T @ sums @ WINOGRAD_WEIGHT
        c[c_at + lane : c_at + lane + 9 * c_step : c_step] = values.reshape(-1)


@operation(_winograd_weight_gradient)
def winograd_weight_gradient(typing_context, x, x_at, x_step, c, c_at, c_step):
    """c[k, m] = (G' s G)[k]: the gradient to kernels from sums s = x[:, m], a lane for each."""
    return call_linked("winograd_weight_gradient", "@i@i", (x, x_at, x_step, c, c_at, c_step))


def winograd_input_line(v, d):
    """B' d for 6 vectors: WINOGRAD_INPUT @ d, with shared terms."""
    a, b = v.fma(v.number(-4), d[2], d[4]), v.fma(v.number(-4), d[1], d[3])
    c, e = v.sub(d[4], d[2]), v.mul(v.number(2), v.sub(d[3], d[1]))
    first = v.fma(v.number(4), d[0], v.fma(v.number(-5), d[2], d[4]))
    last = v.fma(v.number(4), d[1], v.fma(v.number(-5), d[3], d[5]))
    return [first, v.add(a, b), v.sub(a, b), v.add(c, e), v.sub(c, e), last]


def winograd_output_line(v, m):
    """A' m for 6 vectors: WINOGRAD_OUTPUT @ m, with shared terms."""
    s12, d12, s34, d34 = v.add(m[1], m[2]), v.sub(m[1], m[2]), v.add(m[3], m[4]), v.sub(m[3], m[4])
    return [
        v.add(m[0], v.add(s12, s34)),
        v.fma(v.number(2), d34, d12),
        v.fma(v.number(4), s34, s12),
        v.add(m[5], v.fma(v.number(8), d34, d12)),
    ]


def winograd_weight_line(v, g):
    """G g for 3 vectors: WINOGRAD_WEIGHT @ g, with shared terms."""
    outer = v.add(g[0], g[2])
    a = v.fma(v.number(1 / 24), g[0], v.mul(v.number(1 / 6), g[2]))
    b = v.mul(v.number(1 / 12), g[1])
    return [
        v.mul(v.number(1 / 4), g[0]),
        v.mul(v.number(-1 / 6), v.add(outer, g[1])),
        v.mul(v.number(-1 / 6), v.sub(outer, g[1])),
        v.add(a, b),
        v.sub(a, b),
        g[2],
    ]


def winograd_gradient_line(v, e):
    """A e for 4 vectors: WINOGRAD_OUTPUT.T @ e, with shared terms."""
    even, odd = v.add(e[0], e[2]), v.add(e[1], e[3])
    even2 = v.fma(v.number(4), e[2], e[0])
    odd2 = v.fma(v.number(8), e[3], v.mul(v.number(2), e[1]))
    sums = [v.add(even, odd), v.sub(even, odd), v.add(even2, odd2), v.sub(even2, odd2)]
    return [e[0], *sums, e[3]]


def winograd_weight_gradient_line(v, s):
    """G' s for 6 vectors: WINOGRAD_WEIGHT.T @ s, with shared terms."""
    s12, s34 = v.mul(v.number(1 / 6), v.add(s[1], s[2])), v.add(s[3], s[4])
    d12, d34 = v.mul(v.number(1 / 6), v.sub(s[2], s[1])), v.sub(s[3], s[4])
    return [
        v.fma(v.number(1 / 24), s34, v.fma(v.number(1 / 4), s[0], v.sub(v.zero, s12))),
        v.fma(v.number(1 / 12), d34, d12),
        v.fma(v.number(1 / 6), s34, v.sub(s[5], s12)),
    ]


def both_ways(v, line, square):
    """`line` applied to the columns, then to the rows, of a square of vectors."""
    columns = [line(v, column) for column in zip(*square, strict=True)]
    return [line(v, row) for row in zip(*columns, strict=True)]


def store_points(v, square, c, c_step, store):
    for row, value in zip(v.rows(c, c_step, 36), chain(*square), strict=True):
        store(value, row)


@machine_code
def _winograd_input_code(v, x, x_step, c, c_step):
    half = v.lanes // 2

    def every_fourth(start, phases):
        """Pixels 4 t + phase of a line, a vector for each phase; phases come in pairs."""
        pixels = [v.load(v.shift(start, j * v.lanes)) for j in range(4)]
        found = []
        for phase in phases[::2]:
            picks = [4 * t + phase + j for j in (0, 1) for t in range(half)]
            low, high = v.shuffle(*pixels[:2], picks), v.shuffle(*pixels[2:], picks)
            for j in (0, half):
                both = [*range(j, j + half), *range(v.lanes + j, v.lanes + j + half)]
                found.append(v.shuffle(low, high, both))
        return found

    square = [
        every_fourth(row, (0, 1, 2, 3)) + every_fourth(v.shift(row, 4), (0, 1))
        for row in v.rows(v.pointer(x), x_step, 6)
    ]
    square = both_ways(v, winograd_input_line, square)
    store_points(v, square, v.pointer(c), c_step, v.store)


@machine_code
def _winograd_output_code(v, x, x_step, epilogue, c, c_step):
    points = [v.load(row) for row in v.rows(v.pointer(x), x_step, 36)]
    square = both_ways(v, winograd_output_line, [points[i : i + 6] for i in range(0, 36, 6)])
    flat = finish_rows(v, [list(chain(*square))], epilogue)
    square = [flat[i : i + 4] for i in range(0, 16, 4)]
    zipped = [i + j for i in range(v.lanes) for j in (0, v.lanes)]
    low, high = zipped[: v.lanes], zipped[v.lanes :]
    pairs = [i + j for i in range(0, v.lanes, 2) for j in (0, 1, v.lanes, v.lanes + 1)]
    for line, row in zip(square, v.rows(v.pointer(c), c_step, 4), strict=True):
        # columns 0 1 2 3 of each tile, from a vector each to next to each other
        for j, picks in enumerate((low, high)):
            left, right = v.shuffle(line[0], line[1], picks), v.shuffle(line[2], line[3], picks)
            for k, quads in enumerate((pairs[: v.lanes], pairs[v.lanes :])):
                pixels = v.shuffle(left, right, quads)
                v.store(pixels, v.shift(row, (2 * j + k) * v.lanes))


@machine_code
def _winograd_weight_code(v, count, x, x_step, c, c_step):
    mask = v.first(count)
    positions = [v.masked_load(row, mask) for row in v.rows(v.pointer(x), x_step, 9)]
    square = both_ways(v, winograd_weight_line, [positions[i : i + 3] for i in range(0, 9, 3)])
    store_points(v, square, v.pointer(c), c_step, lambda value, at: v.masked_store(value, at, mask))


@machine_code
def _winograd_gradient_code(v, x, line_step, pixel_step, c, c_step):
    lines = v.rows(v.pointer(x), line_step, 4)
    square = [[v.load(pixel) for pixel in v.rows(line, pixel_step, 4)] for line in lines]
    square = both_ways(v, winograd_gradient_line, square)
    store_points(v, square, v.pointer(c), c_step, v.store)


@machine_code
def _winograd_weight_gradient_code(v, x, x_step, c, c_step):
    points = [v.load(row) for row in v.rows(v.pointer(x), x_step, 36)]
    square = both_ways(
        v, winograd_weight_gradient_line, [points[i : i + 6] for i in range(0, 36, 6)]
    )
    for row, value in zip(v.rows(v.pointer(c), c_step, 9), chain(*square), strict=True):
        v.store(value, row)
