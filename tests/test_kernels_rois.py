"""Pooling of regions against its twins, and torchvision's where that is installed."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from caffelite.kernels import _jit, rois
from caffelite.testing import make_layer

from .reference import rois as slow

MAPS, HEIGHT, WIDTH, SCALE = 2, 7, 9, 0.25
GRID = 3, 2


def draw(count=12, seed=0, dtype=np.float32):
    """(map, corners) of regions in and around the maps, the last two of them turned around."""
    generator = np.random.default_rng(seed)
    corners = generator.uniform(-6, 42, (count, 2, 2))
    corners = np.sort(corners, axis=1).reshape(-1, 4)
    corners[-2:] = corners[-2:, [2, 3, 0, 1]]
    corners[0] = 500  # far outside of the maps
    return generator.integers(0, MAPS, count).astype(np.int32), corners.astype(dtype)


def along(spans, corners, *more):
    """Spans of the rows of bins, and of the columns."""
    return [
        spans(corners[:, axis], corners[:, axis + 2], SCALE, bins, *more, size)
        for axis, bins, size in ((1, GRID[0], HEIGHT), (0, GRID[1], WIDTH))
    ]


def few_values(channels, dtype, seed=1):
    """Maps with many equals."""
    numbers = np.random.default_rng(seed).integers(-3, 3, (MAPS, channels, HEIGHT, WIDTH))
    return (numbers / 4).astype(dtype)


@pytest.mark.parametrize("name", ["max_spans", "average_spans"])
def test_spans(name):
    corners = np.concatenate([draw()[1], np.arange(-6, 34).reshape(10, 4)]).astype(np.float64)
    for got, want in zip(along(getattr(rois, name), corners),
                         along(getattr(slow, name), corners), strict=True):  # fmt: skip
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("samples", [0, 1, 3])
def test_spans_of_alignment(samples):
    _, corners = draw(dtype=np.float64)
    corners[1, 0] = corners[1, 2] = -4.0  # a place just a cell beyond the map
    found = along(rois.align_spans, corners, samples)
    for (spans, weights), size, want in zip(
        found, (HEIGHT, WIDTH), along(slow.align_spans, corners, samples), strict=True
    ):
        np.testing.assert_allclose(slow.dense(spans, weights, size), want, atol=1e-12)


def test_a_map_of_one_row_is_aligned():
    low, high = np.array([0.0, -1.5, 0.9]), np.array([0.5, 3.0, 1.1])
    spans, weights = rois.align_spans(low, high, 1, 2, 2, 1)
    want = slow.align_spans(low, high, 1, 2, 2, 1)
    np.testing.assert_allclose(slow.dense(spans, weights, 1), want)


def hold(name, given, shape, *outs):
    """A kernel against its twin, on outputs full of rubbish, with one thread and with several."""
    got = [np.full(shape, 9, given[0].dtype), *outs]
    want = [out.copy() for out in got]
    getattr(rois, name)(*given, *got)
    getattr(slow, name)(*given, *want)
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-5, atol=1e-6)
    return got


@pytest.mark.parametrize("threads", [None, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("channels", [3, 37])
def test_pooling_and_its_gradient(monkeypatch, threads, channels):
    if threads:  # else as many as this little work takes
        monkeypatch.setattr(_jit, "thread_count", lambda work: threads)
        monkeypatch.setattr(rois, "thread_count", lambda work: threads)
    image, corners = draw()
    x = few_values(channels, np.float32)
    dy = np.random.default_rng(2).standard_normal((len(image), channels, *GRID)).astype(np.float32)

    spans = along(rois.max_spans, corners)
    y, argmax = hold("max_forward", (x, image, *spans), dy.shape, np.full(dy.shape, 7, np.int32))
    alone = np.full(dy.shape, 9, np.float32)
    rois.max_forward(x, image, *spans, alone, argmax[:0])
    np.testing.assert_array_equal(alone, y)
    hold("max_backward", (dy, argmax, image), x.shape)

    (rows, row_weights), (columns, column_weights) = along(rois.align_spans, corners, 2)
    regions = image, rows, row_weights, columns, column_weights
    hold("align_forward", (x, *regions), dy.shape)
    hold("align_backward", (dy, *regions), x.shape)

    spans = along(rois.average_spans, corners)
    wide = few_values(2 * GRID[0] * GRID[1], np.float32)
    dy = np.ascontiguousarray(dy[:, :2])
    hold("average_forward", (wide, image, *spans), dy.shape)
    hold("average_backward", (dy, image, *spans), wide.shape)


def test_what_is_no_number_never_wins():
    x = np.full((1, 1, 2, 3), np.nan, np.float32)
    x[0, 0, 1, 1] = -2
    spans = np.array([[[0, 2]]], np.int32), np.array([[[0, 3], [2, 3]]], np.int32)
    y, argmax = np.empty((1, 1, 1, 2), np.float32), np.empty((1, 1, 1, 2), np.int32)
    rois.max_forward(x, np.zeros(1, np.int32), *spans, y, argmax)
    assert y.ravel().tolist() == [-2, rois.LOWEST] and argmax.ravel().tolist() == [4, -1]


SHAPES = st.tuples(
    *(st.integers(1, most) for most in (3, 40, 15, 15)),  # maps, channels, height, width
    st.sampled_from([1, 0.5, 0.25, 0.0625]),
    st.integers(1, 20),  # regions
)


@settings(max_examples=40)
@example((3, 5, 8, 11, 0.25, 17), (3, 2), 3, 3)
@example((1, 40, 5, 4, 1, 6), (3, 2), 3, 3)
@example((2, 2, 13, 7, 1 / 16, 9), (3, 2), 3, 3)
@given(SHAPES, st.tuples(*[st.integers(1, 7)] * 2), st.integers(1, 5), st.integers(0, 1 << 30))
def test_layers_agree_with_torchvision(shape, bins, group, seed):
    torch = pytest.importorskip("torch")
    ops = pytest.importorskip("torchvision.ops", exc_type=(ImportError, RuntimeError))
    maps, channels, height, width, scale, count = shape
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((maps, channels, height, width))
    corners = generator.uniform(-4, 1.2 * max(height, width) / scale, (count, 2, 2))
    corners = np.sort(corners, axis=1).reshape(-1, 4)
    regions = np.insert(corners, 0, generator.integers(0, maps, count), axis=1)
    # where R-FCN and torchvision, which leaves the last row and column of a map out, agree
    low = np.round(corners[:, :2] * scale).clip(-2, np.array([width, height]) - 3)
    high = np.round(corners[:, 2:] * scale).clip(low + 1, np.array([width, height]) - 1)
    whole = np.column_stack([regions[:, 0], low / scale, high / scale])
    ends = whole - [0, 0, 0, 1, 1]
    deep = generator.standard_normal((maps, 2 * group**2, height, width))

    def compare(type, options, x, regions, theirs):
        layer, bottom, top = make_layer(type, [x, regions], options)
        layer.forward(bottom, top)
        given = torch.tensor(x, requires_grad=True)
        want = theirs(given)
        np.testing.assert_allclose(top[0].data, want.detach(), rtol=1e-6, atol=1e-9)
        top[0].diff[...] = generator.standard_normal(top[0].shape)
        layer.backward(top, [True, False], bottom)
        want.backward(torch.tensor(top[0].diff))
        np.testing.assert_allclose(bottom[0].diff, given.grad, rtol=1e-6, atol=1e-9)

    boxes = torch.tensor(regions)
    how = f"pooled_h: {bins[0]} pooled_w: {bins[1]} spatial_scale: {scale}"
    options = f"roi_pooling_param {{ {how} }}"
    compare("ROIPooling", options, x, regions, lambda x: ops.roi_pool(x, boxes, bins, scale))
    for samples in (-1, 2):
        options = f"roi_align_param {{ {how} sampling_ratio: {samples} }}"
        compare(
            *("ROIAlign", options, x, regions),
            lambda x, samples=samples: ops.roi_align(x, boxes, bins, scale, samples),
        )
    options = f"psroi_pooling_param {{ output_dim: 2 group_size: {group} spatial_scale: {scale} }}"
    compare(
        *("PSROIPooling", options, deep, ends),
        lambda x: ops.ps_roi_pool(x, torch.tensor(whole), group, scale),
    )
