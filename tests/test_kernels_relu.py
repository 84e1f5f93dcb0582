import numpy as np
import pytest

from caffelite.kernels import relu

from .reference import relu as twin

SIZES = (0, 1, 1000, 3 * relu.PART + 17)  # the last on several threads


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("slope", [0, 0.25, -2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("in_place", [False, True])
def test_relu_agrees_with_its_twin(size, slope, dtype, in_place):
    x, dy = np.random.default_rng(0).standard_normal((2, size)).astype(dtype)
    x[::5] = 0
    slope = dtype(slope)
    y, dx, want_y, want_dx = (np.full_like(x, 9) for _ in range(4))
    twin.forward(x, slope, want_y)
    twin.backward(x, dy, slope, want_dx)
    if in_place:
        dx = dy
    relu.backward(x, dy, slope, dx)
    if in_place:
        y = x
    relu.forward(x, slope, y)
    np.testing.assert_array_equal(y, want_y)
    np.testing.assert_array_equal(dx, want_dx)
    assert not np.signbit(y[y == 0]).any()


def test_nan_stays_nan():
    y = np.array([np.nan, 1, -1], np.float32)
    relu.forward(y, np.float32(0), y)
    np.testing.assert_array_equal(y, [np.nan, 1, 0])
