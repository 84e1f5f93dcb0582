"""Kernels of Upsample and of Deconvolution by planes, against their twins."""

import numpy as np
import pytest

from caffelite.kernels import convolve, unpool
from caffelite.kernels.plan import plan_convolution

from .reference import convolve as ref_convolve
from .reference import unpool as ref


def draw(*shape):
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


def test_unpool_forward_and_backward():
    """Of a place named twice, the last value stays, and both get its gradient."""
    x = draw(3, 2, 4)
    mask = np.random.default_rng(1).integers(0, 35, x.shape).astype(np.float32)
    mask[0, 0, :2] = 34
    for function, twin, given, shape in (
        (unpool.forward, ref.forward, (x, mask), (3, 5, 7)),
        (unpool.backward, ref.backward, (draw(3, 5, 7), mask), x.shape),
    ):
        got, want = np.full(shape, 9, np.float32), np.full(shape, 9, np.float32)
        function(*given, got)
        twin(*given, want)
        np.testing.assert_array_equal(got, want)


def test_unpool_tells_places_that_are_none():
    mask = np.zeros((4, 2, 3), np.float32)
    mask[1, 1, 2], mask[2, 0, 1], mask[3, 1, 0] = 12, np.nan, -1
    got, want = np.empty(4, int), np.empty(4, int)
    unpool.check(mask, 12, got)
    ref.check(mask, 12, want)
    assert got.tolist() == want.tolist() == [-1, 5, 1, 3]


def test_unpool_adds_blocks():
    dy, got, want = draw(3, 4, 10), np.full((3, 2, 5), 9.0, np.float32), np.empty((3, 2, 5))
    unpool.add_blocks(dy, got, 2)
    ref.add_blocks(dy, want, 2)
    np.testing.assert_allclose(got, want, rtol=1e-6)


# kernel, stride, pad, size of y
WINDOWS = [
    ((4, 4), (2, 2), (1, 1), (3, 5)),
    ((16, 16), (8, 8), (4, 4), (2, 3)),
    ((3, 5), (2, 3), (0, 1), (4, 3)),
    ((4, 5), (3, 2), (1, 2), (4, 37)),
    ((3, 2), (1, 2), (2, 1), (5, 6)),
    ((2, 2), (3, 4), (0, 0), (3, 3)),
    ((5, 3), (4, 2), (4, 2), (2, 6)),
]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_planes_spread_each_by_itself(window):
    kernel, stride, pad, size = window
    out = tuple(
        s * (n - 1) + k - 2 * p for s, n, k, p in zip(stride, size, kernel, pad, strict=True)
    )
    w, y = draw(3, 1, *kernel), draw(2, 3, *size)
    got, want = np.full((2, 3, *out), 9, np.float32), np.empty((2, 3, *out), np.float32)
    options = stride, pad, (1, 1), 3
    planned = plan_convolution(got.shape, w.shape, y.shape, *options, 4)
    assert planned.input_gradient.way == "spread"
    convolve.backward_input(w, y, got, *options)
    ref_convolve.backward_input(w, y, want, *options)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
