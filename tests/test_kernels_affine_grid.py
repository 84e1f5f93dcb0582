"""Affine grids against their twin, in one thread and in several."""

import numpy as np
import pytest

from caffelite.kernels import affine_grid

from .reference import affine_grid as slow

TURNED = [[0.7, 0.3, -1.2], [-0.4, 0.9, 0.6]]
SIZES = [((2, 3, 5, 4), (3, 7)), ((3, 1, 1, 6), (4, 2)), ((2, 2, 6, 1), (1, 5)),
         ((1, 2, 1, 1), (2, 3)), ((0, 2, 3, 3), (2, 2)), ((1, 1, 4, 5), (40, 30))]  # fmt: skip


def drawn(shape, space, dtype):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape).astype(dtype)
    dy = rng.standard_normal((*shape[:2], *space)).astype(dtype)
    return x, TURNED + rng.normal(0, 0.1, (shape[0], 2, 3)), dy


def results(kernels, x, maps, dy):
    y, dx, dmaps = np.full_like(dy, 9), np.full_like(x, 9), np.full_like(maps, 9)
    kernels.forward(x, maps, y)
    kernels.backward(x, maps, dy, dx, dmaps)
    return y, dx, dmaps


@pytest.mark.parametrize(("shape", "space"), SIZES, ids=str)
def test_affine_grid(shape, space):
    x, maps, dy = drawn(shape, space, np.float64)
    for got, want in zip(
        results(affine_grid, x, maps, dy), results(slow, x, maps, dy), strict=True
    ):
        np.testing.assert_allclose(got, want, 1e-12, 1e-12)


@pytest.mark.slow
def test_threads_give_the_same_bits(monkeypatch):
    x, maps, dy = drawn((5, 2, 6, 7), (5, 6), np.float32)
    alone = results(affine_grid, x, maps, dy)
    monkeypatch.setattr(affine_grid, "threads_over", lambda *arrays: 2)
    for got, want in zip(results(affine_grid, x, maps, dy), alone, strict=True):
        np.testing.assert_array_equal(got, want)


def test_places_that_are_pixels_give_these_and_slopes_to_the_right():
    x, _, dy = drawn((1, 1, 4, 5), (4, 5), np.float64)
    maps = np.array([[[1.0, 0, 0], [0, 1, 0]]])
    y, dx, dmaps = results(affine_grid, x, maps, dy)
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(dx, dy)
    _, _, want = results(slow, x, maps, dy)
    np.testing.assert_allclose(dmaps, want, 1e-12)


@pytest.mark.parametrize("far", [1e30, -1e30, 1e9, -7])
def test_places_beyond_the_edges_are_zero(far):
    x, _, dy = drawn((1, 2, 4, 5), (3, 6), np.float64)
    for found in results(affine_grid, x, np.array([[[1, 0, far], [0, far, far]]], float), dy):
        if found.shape == dy.shape:
            assert not found.any()
        else:
            assert np.isfinite(found).all()


def test_either_gradient_may_be_left_out():
    x, maps, dy = drawn((2, 3, 5, 4), (3, 7), np.float64)
    _, dx, dmaps = results(affine_grid, x, maps, dy)
    only_x, only_maps = np.empty_like(dx), np.empty_like(dmaps)
    affine_grid.backward(x, maps, dy, only_x, np.empty((0, 2, 3)))
    affine_grid.backward(x, maps, dy, np.empty((0, 0, 0, 0)), only_maps)
    np.testing.assert_array_equal(only_x, dx)
    np.testing.assert_array_equal(only_maps, dmaps)
