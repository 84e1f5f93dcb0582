import numpy as np
import pytest

from caffelite.kernels import eltwise

from .reference import eltwise as ref
from .reference import epilogue


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [0, 1, 1000, eltwise.PART * 2 + 7])
@pytest.mark.parametrize("activation", epilogue.ACTIVATIONS.values(), ids=epilogue.ACTIVATIONS)
def test_sums_agree_with_their_twin(size, dtype, activation):
    a, b, dy = np.random.default_rng(1).standard_normal((3, size)).astype(dtype)
    last = epilogue.draw(activation, dtype, 1, linear=False)
    got, expected = np.empty((2, 3, size), dtype)
    eltwise.add(a, b, last, got[0])
    ref.add(a, b, last, expected[0])
    np.testing.assert_array_equal(got[0], expected[0])
    for module, arrays in ((eltwise, got), (ref, expected)):
        own = dy.copy()
        module.spread(arrays[0], own, last, arrays[1], arrays[2])
        arrays[0] = own
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.slow)])
@pytest.mark.parametrize("size", [0, 5, eltwise.PART + 7])
@pytest.mark.parametrize("count", [2, 4])
def test_totals_agree_with_their_twin(count, size, dtype):
    arrays = np.random.default_rng(2).standard_normal((count, size)).astype(dtype)
    y = np.empty(size, dtype)
    eltwise.total(list(arrays), y)
    np.testing.assert_array_equal(y, ref.total(arrays))
