"""LRN kernels against their twins."""

import numpy as np
import pytest

from caffelite.kernels import lrn

from .reference import lrn as ref

# shape, reach, k, alpha, beta; blocks are of 256 pixels, so one shape has a short last block
SETTINGS = [
    ((2, 7, 300), 2, 1.0, 1e-2, 0.75),
    ((2, 3, 5), 2, 2.0, 0.5, 0.75),
    ((1, 6, 4), 0, 1.0, 0.3, 0.5),
    ((3, 5, 9), 1, 0.7, 2.0, 1.0),
    ((2, 4, 6), 3, 1.5, 1.0, 0.3),
    ((0, 4, 6), 1, 1.0, 1.0, 0.75),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("region", ["across", "within"])
@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_lrn(setting, region, dtype):
    shape, *numbers = setting
    rng = np.random.default_rng(0)
    x, dy = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    for step, arrays in (("forward", (x,)), ("backward", (x, dy))):
        got, want = np.full(shape, 9, dtype), np.empty(shape)
        getattr(lrn, f"{region}_{step}")(*arrays, *numbers, got)
        getattr(ref, f"{region}_{step}")(*arrays, *numbers, want)
        tolerance = 2e-6 if dtype == np.float32 else 1e-13
        np.testing.assert_allclose(got, want, tolerance, tolerance, err_msg=step)


def test_a_large_value_leaves_no_trace_beyond_its_window():
    """A running sum, with values added and taken away again, would round them off here."""
    x = np.full((1, 9, 1), 1e-3, np.float32)
    x[0, 1] = 1e4
    y, want = np.empty_like(x), np.empty(x.shape)
    lrn.across_forward(x, 1, 0.0, 1.0, 0.75, y)
    ref.across_forward(x.astype(float), 1, 0.0, 1.0, 0.75, want)
    np.testing.assert_allclose(y, want, 1e-6)


@pytest.mark.parametrize("region", ["across", "within"])
def test_a_window_far_larger_than_the_map_takes_no_time(region):
    x, dy = np.random.default_rng(0).standard_normal((2, 2, 3, 5))
    reach = 2**31 - 1
    small = 7  # covers all of x, too
    alpha = ((2 * reach + 1) / (2 * small + 1)) ** (1 if region == "across" else 2)
    for step, arrays in (("forward", (x,)), ("backward", (x, dy))):
        got, want = np.empty_like(x), np.empty_like(x)
        getattr(lrn, f"{region}_{step}")(*arrays, reach, 1.0, alpha, 0.75, got)
        getattr(ref, f"{region}_{step}")(*arrays, small, 1.0, 1.0, 0.75, want)
        np.testing.assert_allclose(got, want, 1e-12)
