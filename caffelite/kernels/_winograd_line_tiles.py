"""The transforms of Winograd's F(4, 7) along one axis, a vector of windows beside each other.

Toom and Cook's points are 0, infinity and pairs p, -p, of which even and odd powers are shared.
"""

from fractions import Fraction
from math import prod

import numpy as np

from ._epilogue import finish_rows
from ._simd import call_linked, lane_count, machine_code, operation
from .epilogue import stored

OUTPUTS, TAPS = 4, 7
POINTS = OUTPUTS + TAPS - 1
PAIRS = [Fraction(1), Fraction(2), Fraction(1, 2), Fraction(3, 2)]
"""Of 3/2 rather than 4, sums are three times as exact."""


def _times(a, b):
    """The product of polynomials, coefficients of the lowest power first."""
    result = [Fraction(0)] * (len(a) + len(b) - 1)
    for i, one in enumerate(a):
        for j, other in enumerate(b):
            result[i + j] += one * other
    return result


def _squares(pairs):
    """The product of x^2 - p^2 over some pairs, its even coefficients."""
    result = [Fraction(1)]
    for p in pairs:
        result = _times(result, [-p * p, Fraction(1)])
    return [float(number) for number in result]


ALL = _squares(PAIRS)
OTHERS = [_squares(PAIRS[:k] + PAIRS[k + 1 :]) for k in range(len(PAIRS))]
ZERO_NORM = float(1 / prod(-p * p for p in PAIRS))
NORMS = [float(1 / (2 * p * p * prod(p * p - q * q for q in PAIRS if q != p))) for p in PAIRS]
"""What weights are to be multiplied by at 0, and at the points of each pair."""

_POINTS = [0.0] + [sign * float(p) for p in PAIRS for sign in (1, -1)]


def _powers(count):
    """p^k for each point p and k < count; at infinity the last power alone."""
    finite = np.power.outer(np.array(_POINTS), np.arange(count))
    return np.vstack([finite, np.arange(count) == count - 1])


LINE_OUTPUT = _powers(OUTPUTS).T
LINE_WEIGHT = _powers(TAPS) * [[ZERO_NORM], *([n] for n in NORMS for _ in (1, -1)), [1]]
LINE_INPUT = np.zeros((POINTS, POINTS))
LINE_INPUT[0, 0::2], LINE_INPUT[-1, 1::2] = ALL, ALL
for _k, _p in enumerate(PAIRS):
    LINE_INPUT[2 * _k + 1 : 2 * _k + 3, 2::2] = OTHERS[_k]
    LINE_INPUT[2 * _k + 1 : 2 * _k + 3, 1:-1:2] = np.outer([_p, -_p], OTHERS[_k])


def _apply(matrix, x, x_at, x_step, c, c_at, c_step, lanes):
    rows, columns = matrix.shape
    for lane in range(lanes):
        values = x[x_at + lane + x_step * np.arange(columns)]
        c[c_at + lane + c_step * np.arange(rows)] = matrix @ values


def _line_input(x, x_at, x_step, c, c_at, c_step):
    _apply(LINE_INPUT, x, x_at, x_step, c, c_at, c_step, lane_count(x))


@operation(_line_input)
def line_input(typing_context, x, x_at, x_step, c, c_at, c_step):
    """c[p] = (B' d)[p]: transform 10 values d, `x_step` apart, in each lane."""
    return call_linked("line_input", "@i@i", (x, x_at, x_step, c, c_at, c_step))


def _line_output(x, x_at, x_step, epilogue, channel, c, c_at, c_step):
    lanes = lane_count(x)
    _apply(LINE_OUTPUT, x, x_at, x_step, c, c_at, c_step, lanes)
    for at in (c_at + i * c_step + lane for i in range(OUTPUTS) for lane in range(lanes)):
        c[at] = stored(c[at], epilogue, channel)


@operation(_line_output)
def line_output(typing_context, x, x_at, x_step, epilogue, channel, c, c_at, c_step):
    """c[i] = (A' x)[i], 4 values `c_step` apart from 10 products, in each lane.

    They are stored as channel `channel` of the epilogue says.
    """
    arguments = (x, x_at, x_step, epilogue, channel, c, c_at, c_step)
    return call_linked("line_output", "@iE@i", arguments)


def _line_weight(count, x, x_at, x_step, c, c_at, c_step):
    _apply(LINE_WEIGHT, x, x_at, x_step, c, c_at, c_step, count)


@operation(_line_weight)
def line_weight(typing_context, count, x, x_at, x_step, c, c_at, c_step):
    """c[p, m] = (G g)[p] for `count` kernels g = x[:, m], at most a lane each.

    With a negative `x_step`, kernels are read transposed: from the last position on.
    """
    return call_linked("line_weight", "i@i@i", (count, x, x_at, x_step, c, c_at, c_step))


def _line_gradient(x, x_at, x_step, c, c_at, c_step):
    _apply(LINE_OUTPUT.T, x, x_at, x_step, c, c_at, c_step, lane_count(x))


@operation(_line_gradient)
def line_gradient(typing_context, x, x_at, x_step, c, c_at, c_step):
    """c[p, m] = (A e)[p] for 4 values e of an output's gradient, a lane for each output."""
    return call_linked("line_gradient", "@i@i", (x, x_at, x_step, c, c_at, c_step))


def _line_weight_gradient(x, x_at, x_step, c, c_at, c_step):
    _apply(LINE_WEIGHT.T, x, x_at, x_step, c, c_at, c_step, lane_count(x))


@operation(_line_weight_gradient)
def line_weight_gradient(typing_context, x, x_at, x_step, c, c_at, c_step):
    """c[k, m] = (G' s)[k]: the gradient to kernels from sums s = x[:, m], a lane for each."""
    return call_linked("line_weight_gradient", "@i@i", (x, x_at, x_step, c, c_at, c_step))


def _sum(v, factors, vectors):
    """The sum of vectors times numbers; those that are 1 are added."""
    terms = sorted(zip(factors, vectors, strict=True), key=lambda term: term[0] != 1)
    factor, total = terms[0]
    total = total if factor == 1 else v.mul(v.number(factor), total)
    for factor, vector in terms[1:]:
        total = v.add(total, vector) if factor == 1 else v.fma(v.number(factor), vector, total)
    return total


def _both_signs(v, even, odd):
    return [v.add(even, odd), v.sub(even, odd)]


def _at_points(v, values, norms):
    """Values of a polynomial at the points, those at 0 and infinity as they are.

    The ones at the points of a pair are multiplied by its number of `norms`.
    """
    found = []
    for p, norm in zip(map(float, PAIRS), norms, strict=True):
        powers = [norm * p**k for k in range(len(values))]
        sums = (_sum(v, powers[i::2], values[i::2]) for i in (0, 1))
        found += _both_signs(v, *sums)
    return [values[0], *found, values[-1]]


def _from_points(v, points, count, norms):
    """The transpose of `_at_points`: `count` sums of powers."""
    pairs = [points[1 + 2 * k : 3 + 2 * k] for k in range(len(PAIRS))]
    sums = [[v.add(*pair) for pair in pairs], [v.sub(*pair) for pair in pairs]]
    found = [
        _sum(v, [n * float(p) ** k for p, n in zip(PAIRS, norms, strict=True)], sums[k % 2])
        for k in range(count)
    ]
    found[0], found[-1] = v.add(found[0], points[0]), v.add(found[-1], points[-1])
    return found


ONES = [1.0] * len(PAIRS)


def _load(v, x, x_step, count):
    return [v.load(row) for row in v.rows(v.pointer(x), x_step, count)]


def _store(v, values, c, c_step):
    for row, value in zip(v.rows(v.pointer(c), c_step, len(values)), values, strict=True):
        v.store(value, row)


@machine_code
def _line_input_code(v, x, x_step, c, c_step):
    d = _load(v, x, x_step, POINTS)
    found = [_sum(v, ALL, d[0::2])]
    for p, others in zip(map(float, PAIRS), OTHERS, strict=True):
        odd = _sum(v, [p * factor for factor in others], d[1:-1:2])
        found += _both_signs(v, _sum(v, others, d[2::2]), odd)
    _store(v, [*found, _sum(v, ALL, d[1::2])], c, c_step)


@machine_code
def _line_output_code(v, x, x_step, epilogue, c, c_step):
    values = _from_points(v, _load(v, x, x_step, POINTS), OUTPUTS, ONES)
    _store(v, finish_rows(v, [values], epilogue), c, c_step)


@machine_code
def _line_weight_code(v, count, x, x_step, c, c_step):
    mask = v.first(count)
    g = [v.masked_load(row, mask) for row in v.rows(v.pointer(x), x_step, TAPS)]
    values = _at_points(v, g, NORMS)
    values[0] = v.mul(v.number(ZERO_NORM), values[0])
    for row, value in zip(v.rows(v.pointer(c), c_step, POINTS), values, strict=True):
        v.masked_store(value, row, mask)


@machine_code
def _line_gradient_code(v, x, x_step, c, c_step):
    _store(v, _at_points(v, _load(v, x, x_step, OUTPUTS), ONES), c, c_step)


@machine_code
def _line_weight_gradient_code(v, x, x_step, c, c_step):
    s = _load(v, x, x_step, POINTS)
    s[0] = v.mul(v.number(ZERO_NORM), s[0])
    _store(v, _from_points(v, s, TAPS, NORMS), c, c_step)
