"""Pooling kernels against their twins."""

import numba
import numpy as np
import pytest

from caffelite.kernels import _jit, pooling

from .reference import pooling as ref

# planes, height, width, then kernel, stride, pad as (h, w)
SHAPES = [
    ((3, 6, 7), (2, 2), (2, 2), (0, 0)),
    ((3, 7, 6), (3, 3), (2, 2), (0, 0)),
    ((2, 9, 40), (3, 3), (2, 2), (1, 1)),
    ((2, 5, 70), (3, 3), (1, 1), (1, 1)),
    ((3, 9, 4), (3, 3), (2, 2), (0, 0)),
    ((2, 6, 67), (2, 2), (1, 1), (0, 1)),
    ((2, 8, 33), (2, 3), (1, 2), (1, 2)),
    ((2, 11, 12), (5, 4), (3, 3), (2, 0)),
    ((2, 9, 11), (2, 2), (4, 5), (0, 0)),
    ((4, 7, 7), (7, 7), (1, 1), (0, 0)),
    ((2, 7, 40), (5, 39), (1, 1), (0, 0)),
    ((2, 1, 1), (3, 3), (2, 2), (2, 2)),
    ((0, 4, 4), (2, 2), (2, 2), (0, 0)),
    ((2, 5, 6), (2**32 - 1, 2**32 - 1), (1, 1), (2**31, 2**31)),  # in no time
]


def out_size(size, kernel, stride, pad):
    out = -(-(size + 2 * pad - kernel) // stride) + 1
    return out - 1 if pad and (out - 1) * stride >= size + pad else out


@pytest.fixture(params=SHAPES, ids=str)
def setting(request):
    """(window, output shape, function that gives values of the input's shape)."""
    shape, *geometry = request.param
    window = tuple(np.ravel(geometry).tolist())
    out = tuple(out_size(n, *g) for n, *g in zip(shape[1:], *geometry, strict=True))
    return window, (shape[0], *out), np.random.default_rng(1), shape


dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def twice(function, twin, arguments, *outs):
    """Run both on the same arguments, each with outputs full of rubbish; hold them together."""
    got = [np.full(shape, 9, dtype) for shape, dtype in outs]
    want = [a.copy() for a in got]
    function(*arguments, *got)
    twin(*arguments, *want)
    for g, w in zip(got, want, strict=True):
        tolerance = 1e-5 if g.dtype == np.float32 else 1e-12
        np.testing.assert_allclose(g, w, tolerance, tolerance)
    return got


@dtypes
def test_max(setting, dtype):
    window, out, rng, shape = setting
    x = rng.integers(-3, 4, shape).astype(dtype)  # many equal values
    x[rng.random(shape) < 0.1] = np.nan
    x[:1, :2] = -np.inf
    _, argmax = twice(
        pooling.max_forward, ref.max_forward, (x, window), (out, dtype), (out, np.int32)
    )
    twice(pooling.max_values, ref.max_values, (x, window), (out, dtype))
    dy = rng.standard_normal(out).astype(dtype)
    twice(pooling.max_backward, ref.max_backward, (dy, argmax), (shape, dtype))


@dtypes
def test_average(setting, dtype):
    window, out, rng, shape = setting
    x, dy = rng.standard_normal(shape).astype(dtype), rng.standard_normal(out).astype(dtype)
    twice(pooling.average_forward, ref.average_forward, (x, window), (out, dtype))
    twice(pooling.average_backward, ref.average_backward, (dy, window), (shape, dtype))


@dtypes
def test_l2(setting, dtype):
    window, out, rng, shape = setting
    x, dy = rng.standard_normal(shape).astype(dtype), rng.standard_normal(out).astype(dtype)
    x[:, :2, :2] = 0
    (y,) = twice(pooling.l2_forward, ref.l2_forward, (x, window), (out, dtype))
    twice(pooling.l2_backward, ref.l2_backward, (x, y, dy, window), (shape, dtype))


@dtypes
def test_draw(setting, dtype):
    window, out, rng, shape = setting
    x = np.maximum(rng.integers(-2, 4, shape), 0).astype(dtype)  # whole numbers: exact sums
    draws = (rng.integers(0, 64, out) / 64).astype(dtype)
    twice(pooling.draw_forward, ref.draw_forward, (x, window, draws), (out, dtype), (out, np.int32))
    (y,) = twice(pooling.expected_forward, ref.expected_forward, (x, window), (out, dtype))
    dy = rng.standard_normal(out).astype(dtype)
    twice(pooling.expected_backward, ref.expected_backward, (x, y, dy, window), (shape, dtype))


def test_values_are_drawn_in_proportion():
    x = np.array([[[1.0, 0.0], [5.0, 2.0]]])
    draws = (np.arange(800) + 0.5) / 800
    y, argmax = np.empty((800, 1, 1)), np.empty((800, 1, 1), np.int32)
    window = (2, 2, 1, 1, 0, 0)
    pooling.draw_forward(x.repeat(800, 0), window, draws.reshape(-1, 1, 1), y, argmax)
    assert np.bincount(argmax.ravel(), minlength=4).tolist() == [100, 0, 500, 200]
    pooling.expected_forward(x, window, y[:1])
    assert y[0] == 30 / 8


def test_a_draw_from_negative_values_takes_the_last():
    x = np.array([[[-1.0, -2.0]]])
    y, argmax = np.empty((1, 1, 1)), np.empty((1, 1, 1), np.int32)
    pooling.draw_forward(x, (1, 2, 1, 1, 0, 0), np.full((1, 1, 1), 0.0), y, argmax)
    assert (y.item(), argmax.item()) == (-2, 1)


@pytest.mark.slow
def test_the_number_of_threads_changes_no_bit(all_threads, monkeypatch):
    monkeypatch.setattr(_jit, "ALONE", 0)
    rng = np.random.default_rng(2)
    x, window = rng.standard_normal((5, 13, 13)).astype(np.float32), (3, 3, 2, 2, 1, 1)
    dy = rng.standard_normal((5, 7, 7)).astype(np.float32)
    results = []
    for threads in (1, numba.config.NUMBA_NUM_THREADS):
        before = numba.get_num_threads()
        numba.set_num_threads(threads)
        y, dx = np.empty_like(dy), np.empty_like(x)
        pooling.average_forward(x, window, y)
        pooling.average_backward(dy, window, dx)
        numba.set_num_threads(before)
        results.append((y, dx))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])
