import numpy as np
import pytest

from caffelite.kernels import axpy

from .reference import axpy as ref


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_axpy_agrees_with_its_twin(dtype):
    x, y = np.random.default_rng(8).standard_normal((2, 1000)).astype(dtype)
    got, want = y.copy(), y.astype(np.float64)
    axpy.axpy(0.3, x, got)
    ref.axpy(dtype(0.3), x.astype(np.float64), want)
    assert abs(got - want).max() <= np.finfo(dtype).eps * abs(want).max()
