"""Softmax against the twin: ends of vectors, both directions, what is no number or infinite."""

import numpy as np
import pytest

from caffelite.kernels import softmax
from caffelite.layers.utility.softmax import softmax as along

from .reference import softmax as slow

FLOATS = pytest.mark.parametrize(
    "dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.slow)]
)


def close(got, expected, dtype):
    """Differences to the maximum, up to some 90 (709) of which anything is left, are rounded."""
    number = np.finfo(dtype)
    largest = -np.log(number.tiny)
    np.testing.assert_allclose(got, expected, (10 + largest / 2) * number.eps, number.tiny)


@FLOATS
@pytest.mark.parametrize(
    "shape", [(3, 1, 1), (2, 7, 1), (2, 16, 1), (3, 33, 1), (2, 5, 3), (2, 3, 16), (1, 4, 37)]
)
def test_softmax(shape, dtype):
    random = np.random.default_rng(0)
    for spread in 1, 30, 200:  # at 200, some of what exp gives is no normal number
        x = (spread * random.standard_normal(shape)).astype(dtype)
        expected, y = np.empty(shape), np.full_like(x, np.nan)
        slow.forward(x.astype(np.float64), expected)
        softmax.forward(x, y)
        close(y, expected, dtype)
        softmax.forward(x, x)
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("shape", [(2, 19, 1), (2, 19, 5)])
def test_what_is_infinite_or_no_number_comes_through(shape):
    x = np.zeros(shape, np.float32)
    x[0, 17], x[1, 3] = -np.inf, np.nan
    y = np.empty_like(x)
    softmax.forward(x, y)
    expected = np.full(shape[1:], 1 / 18, np.float32)
    expected[17] = 0
    close(y[0], expected, np.float32)
    assert np.isnan(y[1]).all()
    x[0], x[1] = -np.inf, np.inf
    softmax.forward(x, y)
    assert np.isnan(y).all()


def test_arrays_whose_values_lie_apart():
    x = np.random.default_rng(0).standard_normal((4, 6, 5)).astype(np.float32)
    expected, y = np.empty(x.shape), np.empty((5, 6, 4), np.float32)
    slow.forward(x.astype(np.float64), expected)
    along(x, -2, y.T)
    close(y.T, expected, np.float32)
