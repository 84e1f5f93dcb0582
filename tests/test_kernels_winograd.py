"""Winograd's convolution against the twin and against the general path."""

import numpy as np
import pytest
from numba import config

from caffelite.kernels import (
    _jit,
    _tiles,
    convolve,
    plan,
    winograd,
    winograd_line,
    winograd_weight,
)
from caffelite.kernels._problem import Problem
from caffelite.kernels._tape import taken_down

from .reference import convolve as slow_convolve
from .reference import epilogue

# batch, inputs and outputs per group, groups, size, pad, and if not 3 x 3 by 1, kernel, stride
SMALL = [
    (1, 1, 1, 1, (4, 4), (1, 1)),
    (2, 3, 2, 2, (6, 9), (0, 2)),
    (2, 2, 3, 1, (3, 4), (0, 1)),
    (3, 2, 2 * _tiles.TILE_ROWS + 1, 1, (5, 7), (1, 1)),
    (2, 3, 2, 2, (14, 13), (2, 2), (5, 5), (2, 2)),
    (1, 2, 3, 1, (16, 19), (0, 4), (6, 5), (2, 2)),
    (2, 1, 2, 1, (7, 23), (1, 3), (3, 8), (1, 3)),
    (2, 3, 2 * _tiles.TILE_ROWS + 1, 2, (9, 5), (3, 0), (7, 1), (1, 1)),
    (3, 2, 5, 1, (4, 11), (0, 2), (1, 7), (1, 1)),
]
LARGE = [
    (5, 20, 31, 2, (13, 14), (1, 1)),
    (3, 16, 20, 1, (30, 31), (0, 0)),
    (9, 16, 64, 1, (12, 9), (2, 1)),
    (1, 24, 16, 1, (40, 70), (1, 1)),
    (2, 100, 70, 1, (30, 43), (1, 1)),
    (12, 16, 64, 1, (16, 16), (2, 2), (5, 5), (2, 2)),
    (5, 20, 31, 2, (26, 28), (1, 2), (5, 6), (2, 2)),
    (8, 33, 40, 2, (17, 16), (3, 0), (7, 1), (1, 1)),
    (12, 70, 34, 1, (9, 19), (0, 6), (1, 7), (1, 1)),
]


def arrays(shape, dtype=np.float32):
    batch, inputs, outputs, group, size, pad, *window = shape
    kernel, stride = window or ((3, 3), (1, 1))
    rng = np.random.default_rng(0)
    axes = zip(size, pad, kernel, stride, strict=True)
    out = [(i + 2 * p - k) // s + 1 for i, p, k, s in axes]
    x = rng.standard_normal((batch, group * inputs, *size)).astype(dtype)
    w = rng.standard_normal((group * outputs, inputs, *kernel)).astype(dtype)
    dy = rng.standard_normal((batch, group * outputs, *out)).astype(dtype)
    return x, w, dy, (stride, pad, (1, 1), group)


def results(module, shape, dtype=np.float32):
    x, w, dy, options = arrays(shape, dtype)
    dx, dw = np.full_like(x, np.nan), np.ones_like(w)
    forward = []
    for activation in epilogue.ACTIVATIONS.values():
        for linear in False, True:
            forward.append(np.full_like(dy, np.nan))
            last = epilogue.draw(activation, dtype, len(w), linear, (-100, 600))
            module.forward(x, w, forward[-1], *options, last)
    module.backward_input(w, dy, dx, *options)
    module.backward_weight(x, dy, dw, *options)
    return *forward, dx, dw


def assert_close(actual, expected, tolerance=2e-5):
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=0, atol=tolerance * np.abs(e).max())


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(np.float32, 2e-5), pytest.param(np.float64, 1e-13, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("shape", SMALL, ids=str)
def test_winograd_agrees_with_its_twin(shape, dtype, tolerance, monkeypatch):
    monkeypatch.setattr(plan, "FORCED", ["winograd"])
    twin = results(slow_convolve, shape, dtype)
    assert_close(results(convolve, shape, dtype), twin, tolerance)


@pytest.mark.parametrize("shape", LARGE, ids=str)
@pytest.mark.skipif(config.DISABLE_JIT, reason="too slow without compilation")
def test_winograd_agrees_with_the_general_path(shape, monkeypatch):
    x, w, dy, options = arrays(shape)
    planned = plan.plan_convolution(x.shape, w.shape, dy.shape, *options, x.itemsize)
    assert planned.forward.way == "winograd"
    monkeypatch.setattr(plan, "FORCED", ["winograd", "direct"])  # phases, too
    fast = results(convolve, shape)
    monkeypatch.setattr(plan, "FORCED", ["im2col"])
    assert_close(fast, results(convolve, shape))


def test_winograd_pays_for_large_float32_and_fits_3x3_with_stride_1():
    square = {"size": (20, 20), "out": (20, 20), "kernel": (3, 3), "stride": (1, 1), "pad": (1, 1)}
    yes = Problem(8, 64, 64, 1, **square, dilation=(1, 1), itemsize=4, threads=1)
    assert winograd.fits(yes) and winograd.pays(yes) and winograd_weight.pays(yes)
    for change in {"itemsize": 8}, {"inputs": 3}, {"batch": 1}:
        assert not winograd.pays(yes._replace(**change))
    few = {"size": (7, 7), "out": (7, 7)}
    assert not winograd.pays(yes._replace(**few))
    assert winograd.pays(yes._replace(**few, inputs=128, outputs=128))
    for change in {"itemsize": 8}, {"inputs": 12}, {"outputs": 12}, {"outputs": 32} | few:
        assert not winograd_weight.pays(yes._replace(**change))
    for change in {"kernel": (3, 1)}, {"stride": (1, 2)}, {"dilation": (2, 1)}:
        assert not winograd.fits(yes._replace(**change))


def test_winograd_pays_for_lines_of_7_along_either_axis():
    line = {"size": (17, 18), "out": (17, 18), "stride": (1, 1), "dilation": (1, 1)}
    down = Problem(8, 32, 32, 1, **line, kernel=(7, 1), pad=(3, 0), itemsize=4, threads=1)
    across = down._replace(kernel=(1, 7), pad=(0, 3))
    for yes in down, across:
        assert winograd_line.fits(yes) and winograd_line.pays(yes)
        for change in {"itemsize": 8}, {"inputs": 31}, {"outputs": 31}, {"batch": 1}:
            assert not winograd_line.pays(yes._replace(**change))
        for change in {"kernel": (5, 1)}, {"kernel": (7, 7)}, {"stride": (1, 2)}, {"pad": (3, 1)}:
            assert not winograd_line.fits(yes._replace(**change))
    few = down._replace(batch=1, inputs=128, outputs=128)
    assert not winograd_line.pays(few) and winograd_line.pays(few._replace(kept=True))


def test_weights_are_packed_in_as_many_parts_as_have_work_space(monkeypatch):
    """However many threads there are: each part transforms in its own."""
    monkeypatch.setattr(_jit, "threads_over", lambda *_: 64)
    shapes = (8, 33, 7, 7), (40, 33, 3, 3), (8, 40, 7, 7)
    geometry, w = ((1, 1), (1, 1), (1, 1), 1), np.ones(shapes[1], np.float32)
    found = plan.plan_convolution(*shapes, *geometry, 4, threads=64, kept=True)
    assert isinstance(found.forward, winograd.Plan)
    with taken_down() as calls:
        winograd.pack(w, found.forward, found.forward_weights)
    assert [parts for _, parts, _ in calls] == [found.forward.parts]
