"""Products with packed weights, and the cell of an LSTM, against their slow twins."""

import numpy as np
import pytest

from caffelite.kernels import lstm, panels
from caffelite.kernels._cell import COUPLED, KINDS, PEEPHOLE

from .reference import lstm as slow_lstm
from .reference import panels as slow_panels
from .reference.gemm import gemm

FLOATS = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@FLOATS
@pytest.mark.parametrize("trans_b", [False, True])
def test_panels_are_a_product(dtype, trans_b):
    random = np.random.default_rng(0)
    for m, n, k in ((1, 1, 1), (3, 70, 5), (16, 33, 20), (2, 9, 300)):
        a = random.integers(-4, 5, (m, k + 2)).astype(dtype)[:, 1:-1]
        b = random.integers(-4, 5, (n, k) if trans_b else (k, n)).astype(dtype)
        for accumulate in (False, True):
            found, expected = np.ones((2, m, n), dtype)
            packed = panels.Panels(b, trans_b)
            packed.multiply(a, found, accumulate)
            gemm(a, b, expected, trans_b=trans_b, accumulate=accumulate)
            np.testing.assert_array_equal(found, expected)
        twin = np.empty_like(packed.packed)
        steps = (1, k) if trans_b else (n, 1)
        slow_panels.pack_panels(b.ravel(), *steps, k, n, twin)
        np.testing.assert_array_equal(packed.packed, twin)
        again = np.ones((m, n), dtype)
        a = np.ascontiguousarray(a)
        slow_panels.multiply_panels(
            a.ravel(), k, m, twin, k, n, again.ravel(), n, True, None, 0, (0, 1)
        )
        np.testing.assert_array_equal(again, expected)


def test_many_streams_are_shared_out_among_threads():
    random = np.random.default_rng(0)
    a, b = random.standard_normal((64, 300)), random.standard_normal((130, 300))
    out = np.empty((64, 130))
    panels.Panels(b, trans_b=True).multiply(a, out)  # more multiplications than one thread does
    np.testing.assert_allclose(out, a @ b.T, 1e-10, 1e-10)


STEPS, STREAMS, UNITS, LIMIT = 3, 2, 21, 0.25


def shared(kernel, parts):
    """A kernel that takes no share: in so many parts, or its slow twin as a whole."""
    if hasattr(kernel, "on"):
        return kernel.on(max(parts, 1))
    return lambda *arguments: kernel(*arguments, (0, 1))


@FLOATS
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("begin, end, parts", [(0, 3, 1), (0, 3, 2), (1, 2, 0)])
def test_steps_and_back(kind, dtype, begin, end, parts):
    """All of them, in so many parts, or, by 0, one of them whose products are there already."""
    random, rows = np.random.default_rng(kind), 3 if kind & COUPLED else 4
    close = {"rtol": 1e-4, "atol": 1e-5} if dtype == np.float32 else {"rtol": 1e-11, "atol": 1e-12}
    size, width = STEPS * STREAMS * UNITS, rows * UNITS

    def draw(count, scale=1):
        return (scale * random.standard_normal(count)).astype(dtype)

    weight = draw((width, UNITS), 0.2)
    there, back = (panels.Panels(weight, trans_b).packed for trans_b in (True, False))
    if not parts:
        there = back = there[:0]
    cont = random.choice(np.array([0, 0.5, 1], dtype), STEPS * STREAMS)
    sums, p = draw(rows * size, 2), draw((rows - 1) * UNITS if kind & PEEPHOLE else 1)
    first, dy, arrived = draw(2 * size + 2 * STREAMS * UNITS), draw(size), draw(2 * STREAMS * UNITS)
    work, room = np.empty(2 * STREAMS * width, dtype), STREAMS * width
    found, expected = [], []
    for module, results in ((lstm, found), (slow_lstm, expected)):
        gates, dgates = sums.copy(), np.zeros_like(sums)
        (c, h), (dh, dc) = np.split(first.copy(), 2), np.split(arrived.copy(), 2)
        seen_h, seen_c = np.zeros((2, size), dtype)
        numbers = kind, UNITS, STREAMS, begin, end
        arrays = gates, cont, seen_h, seen_c, p, c, h, there, work, room
        shared(module.forward, parts)(*numbers, *arrays)
        results += [gates.copy(), seen_h, seen_c, c, h]
        arrays = gates, cont, seen_c, p, c, dy, dh, dc, dgates, back, work, room
        shared(module.backward, parts)(*numbers, LIMIT, *arrays)
        results += [dh, dc, dgates]
        assert abs(dgates).max() == dtype(LIMIT)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, **close)


@FLOATS
def test_gates_are_right_from_nought_to_infinity(dtype):
    """To a few units of the last place; what is no number stays none."""
    x = np.array(
        [0, 1e-30, -1e-9, 1e-4, -0.3, 0.35, -1, 3, -8, 9.5, -19, 25, 1e30, -np.inf, np.nan]
    )
    x = np.concatenate([x, np.linspace(-21, 21, 400)]).astype(dtype)
    units = len(x)
    gates = np.concatenate([x, x, x, x])
    c, h = np.zeros((2, 2 * units), dtype)
    seen_h, seen_c = np.empty((2, units), dtype)
    one = np.ones(1, dtype)
    lstm.forward(0, units, 1, 0, 1, gates, one, seen_h, seen_c, one, c, h, one[:0], one, 0)
    exact = x.astype(np.longdouble)
    ulp = np.finfo(dtype).eps
    np.testing.assert_allclose(gates[3 * units :], np.tanh(exact).astype(dtype), 8 * ulp)
    with np.errstate(over="ignore"):
        sigmoid = (1 / (1 + np.exp(-exact))).astype(dtype)
    np.testing.assert_allclose(gates[:units], sigmoid, 8 * ulp, 2 * ulp)
