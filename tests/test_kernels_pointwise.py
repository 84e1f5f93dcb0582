"""Convolution with 1 by 1 kernels, whose lanes are pixels or outputs, against the twin."""

from types import SimpleNamespace

import numpy as np
import pytest
from numba import config

from caffelite.kernels import _pack, _panel_tiles, _simd, convolve, plan, turned
from caffelite.kernels._tiles import TILE_VECTORS

from .reference import convolve as slow_convolve
from .reference import epilogue

# batch, inputs and outputs per group, groups, size, stride
SHAPES = [
    (1, 1, 1, 1, (1, 1), (1, 1)),
    (2, 3, 40, 1, (5, 7), (1, 1)),
    (3, 2, 3, 2, (7, 7), (1, 1)),
    (2, 9, 33, 1, (9, 6), (2, 2)),
    (1, 5, 65, 1, (1, 31), (1, 2)),
    (2, 4, 5, 3, (8, 9), (3, 1)),
    (2, 40, 35, 1, (3, 5), (1, 1)),
    pytest.param((9, 300, 70, 1, (14, 15), (1, 1)), marks=pytest.mark.slow),
    pytest.param((2, 700, 90, 1, (29, 40), (2, 1)), marks=pytest.mark.slow),
]


@pytest.fixture
def drawn(monkeypatch):
    """Whole numbers, whose sums need no rounding, for a shape; lets the way be forced."""
    monkeypatch.setattr(turned, "MIN_ROWS", 1)  # on any CPU

    def draw(shape, way):
        monkeypatch.setattr(plan, "FORCED", [way])
        batch, inputs, outputs, group, size, stride = shape
        out = tuple(-(-i // s) for i, s in zip(size, stride, strict=True))
        rng = np.random.default_rng(1)
        x, w, dy = (
            rng.integers(-4, 5, s).astype(np.float32)
            for s in [
                (batch, group * inputs, *size),
                (group * outputs, inputs, 1, 1),
                (batch, group * outputs, *out),
            ]
        )
        return x, w, dy, (stride, (0, 0), (1, 1), group)

    return draw


@pytest.mark.parametrize("way", ["pointwise", "turned"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_kept_weights(shape, way, drawn, monkeypatch):
    x, w, y, options = drawn(shape, way)
    known = plan.plan_convolution(x.shape, w.shape, y.shape, *options, 4, kept=True)
    assert known.forward.way == way
    exact, packed = np.empty_like(y), []

    def keep(pack, use):
        packed[:] = packed or [pack(w)]
        return packed[0]

    slow_convolve.forward(x, w, exact, *options)
    for activation in epilogue.ACTIVATIONS.values():
        for linear in False, True:
            last = epilogue.draw(activation, np.float32, len(w), linear)
            y[...] = np.nan
            convolve.forward_kept(x, w.shape, y, *options, last, keep)
            np.testing.assert_array_equal(y, epilogue.forward(exact, last))


# batch, inputs and outputs, size, windows, strides, pads, dilation
WINDOWS = [
    (2, 3, 40, (9, 31), (3, 3), (2, 2), (1, 1), (1, 1)),
    (1, 4, 33, (7, 7), (5, 5), (1, 1), (2, 2), (1, 1)),
    (3, 2, 5, (12, 10), (3, 2), (1, 3), (0, 1), (2, 3)),
    (1, 5, 70, (4, 3), (4, 3), (1, 1), (0, 0), (1, 1)),
    (2, 1, 16, (1, 45), (1, 7), (1, 2), (0, 3), (1, 1)),
]


@pytest.mark.parametrize("shape", WINDOWS, ids=str)
def test_windows_whose_lanes_are_outputs(shape, monkeypatch):
    monkeypatch.setattr(plan, "FORCED", ["turned"])
    batch, inputs, outputs, size, window, stride, pad, dilation = shape
    axes = zip(size, window, stride, pad, dilation, strict=True)
    out = [(i + 2 * p - d * (k - 1) - 1) // s + 1 for i, k, s, p, d in axes]
    draw = np.random.default_rng(1).integers
    x, w = (
        draw(-4, 5, s).astype(np.float32)
        for s in ((batch, inputs, *size), (outputs, inputs, *window))
    )
    whole = np.full((batch, outputs + 2, *out), np.nan, np.float32)
    y, exact = whole[:, 1:-1], np.empty((batch, outputs, *out), np.float32)
    geometry = stride, pad, dilation, 1
    known = plan.plan_convolution(x.shape, w.shape, y.shape, *geometry, 4, kept=True)
    assert known.forward.way == "turned"
    last = epilogue.draw(epilogue.ACTIVATIONS["leaky"], np.float32, outputs)
    convolve.forward_kept(x, w.shape, y, *geometry, last, lambda pack, use: pack(w))
    slow_convolve.forward(x, w, exact, *geometry)
    np.testing.assert_array_equal(y, epilogue.forward(exact, last))
    assert np.isnan(whole[:, [0, -1]]).all()


def test_tiles_of_more_rows_than_a_vector_has_lanes(drawn):
    """As with float64: what they hold is turned in several squares."""
    given = drawn((1, 3, 40, 1, (7, 7), (1, 1)), "turned")
    x, w, y = (array.astype(np.float64) for array in given[:3])
    exact = np.empty_like(y)
    slow_convolve.forward(x, w, exact, *given[3])
    last = epilogue.draw(epilogue.ACTIVATIONS["relu"], np.float64, len(w))
    addend = np.random.default_rng(0).integers(-4, 5, y.shape).astype(np.float64)
    linear = epilogue.forward(exact, last._replace(activation=epilogue.NONE))
    for more in (), (addend,):
        convolve.forward_kept(x, w.shape, y, *given[3], last, lambda pack, use: pack(w), *more)
        np.testing.assert_array_equal(y, np.maximum(linear + sum(more), 0))


@pytest.mark.parametrize("wide", [2, 4])
def test_tiles_of_more_rows_than_a_panel_has_columns(wide, monkeypatch):
    """As with 32 registers of 16 bytes: weights that lie transposed are copied panel by panel."""

    def copy_panel(width, *more):
        assert 1 <= width <= TILE_VECTORS
        _panel_tiles._copy_panel(width, *more)

    twins = {"lanes": lambda _: wide, "copy_panel": copy_panel, "copy": _simd._copy}
    for name, one in twins.items():
        monkeypatch.setattr(_pack, name, one)
    monkeypatch.setattr(_pack, "TILE_ROWS", 14)
    w = np.arange(1, 66 * 7 + 1, dtype=np.float32).reshape(7, 66)
    layout = _pack.WeightLayout(0, w.size, 1, w.shape[1], -1, len(w), 1)
    packed, found = np.empty(w.size, np.float32), np.empty_like(w.T, order="C")
    pack_tile = getattr(_pack.pack_tile, "py_func", _pack.pack_tile)
    for item in range(-(-w.shape[1] // 14)):
        pack_tile(w.reshape(-1), layout, w.shape[1], item, packed, 0)
    _pack.unpack_tiles(packed, SimpleNamespace(group=1, outputs=w.shape[1]), found)
    np.testing.assert_array_equal(found, w.T)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forward_and_gradient(shape, drawn):
    x, w, dy, options = drawn(shape, "pointwise")
    y, dx = np.empty_like(dy), np.empty_like(x)
    for module in convolve, slow_convolve:
        module.forward(x, w, y, *options)
        module.backward_input(w, dy, dx, *options)
        if module is convolve:
            found = y.copy(), dx.copy()
    np.testing.assert_array_equal(found[0], y)
    np.testing.assert_array_equal(found[1], dx)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gradient_to_weights(shape, drawn):
    x, w, dy, options = drawn(shape, "direct")
    dw, exact = np.ones((2, *w.shape), np.float32)
    convolve.backward_weight(x, dy, dw, *options)
    slow_convolve.backward_weight(x, dy, exact, *options)
    np.testing.assert_array_equal(dw, exact)


@pytest.mark.slow
@pytest.mark.skipif(config.DISABLE_JIT, reason="compares threads")
@pytest.mark.parametrize("way", ["pointwise", "turned"])
def test_any_number_of_parts_gives_the_same_bits(way, drawn, monkeypatch):
    """Work is cut for more threads than there are, which then take several parts each."""
    x, w, y, options = drawn((1, 130, 96, 1, (14, 14), (1, 1)), way)
    x += np.float32(0.1)  # so that sums are rounded
    last = epilogue.draw(epilogue.ACTIVATIONS["relu"], np.float32, len(w))
    results = []
    for threads in (1, 2, 3, 16, 64):
        monkeypatch.setattr(plan, "thread_count", lambda work, threads=threads: threads)
        shapes = x.shape, w.shape, y.shape
        assert plan.plan_convolution(*shapes, *options, 4, kept=True).forward.parts >= min(
            threads, 32
        )
        convolve.forward_kept(x, w.shape, y, *options, last, lambda pack, use: pack(w))
        results.append(y.copy())
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])
