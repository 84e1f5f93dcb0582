"""Warping and smoothing against their twins, and against SciPy."""

import numpy as np
import pytest

from caffelite.kernels import warp

from .reference import warp as slow

BORDERS = {"constant": warp.CONSTANT, "mirror": warp.MIRRORED, "nearest": warp.NEAREST}
FILL = np.float32([9, 200])


def warped(x, matrix, away, border):
    y = np.empty_like(x)
    warp.warp(x, np.array(matrix, float), away, BORDERS[border], FILL, y)
    return y


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("size", [(6, 9), (1, 5), (4, 1)])
@pytest.mark.parametrize("local", [False, True])
def test_warp_is_within_rounding_of_its_twin(border, size, local):
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (2, *size), np.uint8)
    matrix = [[0.9, 0.3, -2.5], [-0.4, 1.3, 1.75]]
    away = random.normal(0, 3, (2, *size) if local else (2, 0, 0)).astype(np.float32)
    got = warped(x, matrix, away, border)
    assert abs(got - slow.warp(x, np.array(matrix), away, border, FILL)).max() < 0.51


@pytest.mark.parametrize("border", ["mirror", "nearest"])
def test_warp_is_within_rounding_of_scipy(border):
    ndimage = pytest.importorskip("scipy.ndimage")
    x = np.random.default_rng(1).integers(0, 256, (2, 20, 31), np.uint8)
    matrix = np.array([[0.8, -0.5, 8.25], [0.7, 1.1, -9.5]])
    got = warped(x, matrix, np.empty((2, 0, 0), np.float32), border)
    for plane, y in zip(x.astype(float), got, strict=True):
        want = ndimage.affine_transform(plane, matrix[:, :2], matrix[:, 2], order=1, mode=border)
        assert abs(y - want).max() < 0.51


def test_a_place_far_away_is_still_in_the_picture():
    x = np.full((2, 3, 4), 7, np.uint8)
    for border in ("mirror", "nearest"):
        far = [[1, 0, 1e9], [0, 1, -1e9]]
        assert (warped(x, far, np.empty((2, 0, 0), np.float32), border) == 7).all()


def test_smooth_is_its_twin():
    random = np.random.default_rng(2)
    x, weights = random.random((9, 12), np.float32), random.random(4, np.float32)
    y = np.empty((6, 9), np.float32)
    warp.smooth(x, weights, y)
    np.testing.assert_allclose(y, slow.smooth(x, weights), rtol=1e-5)
