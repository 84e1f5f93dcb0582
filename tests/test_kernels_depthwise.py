"""Depthwise convolution against the twin: lines about as long as vectors, few lines, dilation."""

import numpy as np
import pytest
from numba import config

from caffelite.kernels import convolve, plan

from .reference import convolve as slow_convolve
from .reference import epilogue

JIT = not config.DISABLE_JIT

# batch, channels, outputs of each, size, kernel, stride, pad, dilation
PROBLEMS = [
    (2, 3, 1, (7, 7), 3, 1, (1, 1), (1, 1)),
    (1, 3, 1, (9, 5), 3, 1, (0, 2), (1, 1)),
    (3, 2, 2, (4, 2), 3, 1, (3, 1), (1, 1)),
    (2, 2, 1, (5, 40), 3, 1, (1, 1), (1, 1)),
    (1, 2, 1, (3, 35), 3, 1, (0, 0), (1, 1)),
    (2, 2, 1, (11, 19), 3, 1, (2, 3), (2, 3)),
    (1, 2, 1, (3, 20), 3, 1, (4, 1), (4, 1)),
    (2, 3, 1, (14, 14), 3, 2, (1, 1), (1, 1)),
    (1, 2, 3, (9, 6), 3, 2, (0, 0), (1, 1)),
    (2, 2, 1, (6, 67), 3, 2, (1, 2), (1, 1)),
    (2, 3, 1, (8, 9), 5, 1, (2, 2), (1, 1)),
    (1, 2, 1, (6, 37), 5, 1, (2, 0), (1, 1)),
    (2, 2, 1, (13, 23), 5, 1, (4, 4), (2, 2)),
    (2, 3, 1, (13, 14), 5, 2, (2, 2), (1, 1)),
    (1, 2, 1, (5, 75), 5, 2, (1, 3), (1, 1)),
    (1, 2, 1, (1, 1), 5, 2, (2, 2), (1, 1)),
]
FLOATS = pytest.mark.parametrize(
    "dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.slow)]
)


def arrays(problem, dtype):
    """x, w, dy of whole numbers, so that sums are exact in any order, and the options."""
    batch, channels, outputs, size, kernel, stride, pad, dilation = problem
    rng = np.random.default_rng(0)
    ends = zip(size, pad, dilation, strict=True)
    out = [(s + 2 * p - d * (kernel - 1) - 1) // stride + 1 for s, p, d in ends]
    shapes = (channels, *size), (channels * outputs, 1, kernel, kernel), (channels * outputs, *out)
    x, w, dy = (
        rng.integers(-4, 5, shape).astype(dtype)
        for shape in ((batch, *shapes[0]), shapes[1], (batch, *shapes[2]))
    )
    return x, w, dy, ((stride, stride), pad, dilation, channels)


@pytest.fixture
def forced(monkeypatch):
    monkeypatch.setattr(plan, "FORCED", ["depthwise"])


@FLOATS
@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
def test_depthwise(problem, dtype, forced):
    x, w, dy, options = arrays(problem, dtype)
    planned = plan.plan_convolution(x.shape, w.shape, dy.shape, *options, x.itemsize)
    assert planned.forward.way == planned.weight_gradient.way == "depthwise"

    exact = np.empty_like(dy)
    slow_convolve.forward(x, w, exact, *options)
    for activation in epilogue.ACTIVATIONS.values():
        for linear in False, True:
            last = epilogue.draw(activation, dtype, len(w), linear)
            fast = np.full_like(dy, np.nan)
            convolve.forward(x, w, fast, *options, last)
            np.testing.assert_array_equal(fast, epilogue.forward(exact, last))

    fast, slow = np.full((2, *x.shape), np.nan, dtype)
    convolve.backward_input(w, dy, fast, *options)
    slow_convolve.backward_input(w, dy, slow, *options)
    np.testing.assert_array_equal(fast, slow)

    fast, slow = np.full((2, *w.shape), 3, dtype)
    convolve.backward_weight(x, dy, fast, *options)
    slow_convolve.backward_weight(x, dy, slow, *options)
    np.testing.assert_array_equal(fast, slow)


SPREAD = [
    (2, 3, 1, (14, 13), 3, 2, (1, 1), (1, 1)),
    (1, 2, 1, (7, 67), 3, 2, (0, 2), (1, 1)),
    (1, 2, 1, (5, 4), 4, 2, (2, 1), (1, 1)),
    (2, 2, 1, (6, 34), 4, 2, (1, 1), (1, 1)),
    (1, 2, 1, (9, 33), 5, 2, (2, 2), (1, 1)),
    (2, 2, 1, (1, 3), 5, 2, (3, 1), (1, 1)),
    (2, 2, 1, (9, 20), 2, 2, (1, 0), (1, 1)),
    (1, 2, 1, (19, 21), 7, 3, (1, 2), (1, 1)),
]


@FLOATS
@pytest.mark.parametrize("problem", SPREAD, ids=str)
def test_windows_are_spread(problem, dtype, monkeypatch):
    """Back at a stride; at one of 2, windows of 3 to 5 values have code of their own."""
    monkeypatch.setattr(plan, "FORCED", None)
    x, w, dy, options = arrays(problem, dtype)
    planned = plan.plan_convolution(x.shape, w.shape, dy.shape, *options, x.itemsize)
    assert planned.input_gradient.way == "spread"
    fast, slow = np.full((2, *x.shape), np.nan, dtype)
    convolve.backward_input(w, dy, fast, *options)
    slow_convolve.backward_input(w, dy, slow, *options)
    np.testing.assert_array_equal(fast, slow)


def test_what_is_infinite_stays_where_it_is(forced):
    """Values that a window does not see, or lanes that no output has, are in no product."""
    x, w, dy, options = arrays((1, 2, 1, (9, 21), 3, 2, (1, 1), (1, 1)), np.float32)
    x[0, 0] = np.inf
    y, expected = np.empty_like(dy), np.empty_like(dy)
    convolve.forward(x, w, y, *options)
    slow_convolve.forward(x[:, 1:], w[1:], expected[:, 1:], *options[:3], 1)
    np.testing.assert_array_equal(y[:, 1], expected[:, 1])
    x[0, 0] = 1
    x[0, :, :, -1], dy[0, :, :, -1], dy[0, :, :, 0] = np.inf, 1, 1
    y, dw = np.zeros((2, *w.shape), np.float32)
    convolve.backward_weight(x, dy, dw, *options)
    slow_convolve.backward_weight(x, dy, y, *options)
    np.testing.assert_array_equal(dw, y)


@pytest.mark.skipif(not JIT, reason="compares threads")
@pytest.mark.parametrize("dilation", [1, 3])
def test_numbers_of_threads_change_no_bit(dilation, forced, plans_of_same_bits):
    """Three planes for many threads are cut into blocks of lines."""
    rng = np.random.default_rng(1)
    shapes = (1, 3, 50, 21), (3, 1, 3, 3), (1, 3, 50, 21)
    arrays = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    options = (1, 1), (dilation,) * 2, (dilation,) * 2, 3
    for threads, planned in plans_of_same_bits(*arrays, *options).items():
        assert planned.forward.parts == threads


@pytest.mark.parametrize(
    ("shape", "kernel", "stride"), [((8, 32, 112, 112), 3, 1), ((8, 960, 7, 7), 5, 1)]
)
def test_many_threads_have_work(shape, kernel, stride):
    w, pad = (shape[1], 1, kernel, kernel), (kernel // 2,) * 2
    planned = plan.plan_convolution(
        shape, w, shape, (stride, stride), pad, (1, 1), shape[1], 4, threads=16
    )
    assert planned.forward.parts == 16 and planned.forward.items >= 64
