"""Matrix products and convolutions against their slow twins."""

import itertools

import numba
import numpy as np
import pytest
from numba import config

from caffelite.kernels import _cache, _tiles, convolve, gemm, im2col, plan, taps

from .reference import convolve as slow_convolve
from .reference import epilogue
from .reference import gemm as slow_gemm
from .reference import im2col as slow_im2col

JIT = not config.DISABLE_JIT
FLOATS = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def draw(rng, shape, dtype):
    """Whole numbers, so that sums are exact in any order and a wrong index cannot hide."""
    return rng.integers(-4, 5, shape).astype(dtype)


# Sizes around the tiles: 1, a part, exactly one, one and a bit, several blocks.
SIZES = [
    (1, 1, 1),
    (1, 70, 40),
    (70, 1, 40),
    (5, 33, 1),
    (2 * _tiles.TILE_ROWS + 1, 65, 17),
    (64, 50, 300),
    (17 * _tiles.TILE_ROWS, 40, 30),
    (3, 900, 20),
]


@pytest.fixture(params=[0, gemm.SMALL], ids=["compiled", "as users have it"])
def small_products(request, monkeypatch):
    monkeypatch.setattr(gemm, "SMALL", request.param)


@FLOATS
@pytest.mark.parametrize("trans_a", [False, True])
@pytest.mark.parametrize("trans_b", [False, True])
@pytest.mark.parametrize("accumulate", [False, True])
def test_gemm(dtype, trans_a, trans_b, accumulate, small_products):
    rng = np.random.default_rng(0)
    for m, n, k in SIZES if JIT else SIZES[:1] + SIZES[3:4]:
        a = draw(rng, (k, m) if trans_a else (m, k), dtype)
        b = draw(rng, (n, k) if trans_b else (k, n), dtype)
        c = draw(rng, (m, n), dtype)
        expected = (a.T if trans_a else a) @ (b.T if trans_b else b) + accumulate * c
        gemm.gemm(a, b, c, trans_a, trans_b, accumulate)
        np.testing.assert_array_equal(c, expected)


def test_gemm_agrees_with_its_twin(small_products):
    rng = np.random.default_rng(1)
    a, b = draw(rng, (5, 7), np.float64), draw(rng, (5, 6), np.float64)
    fast, slow = np.ones((7, 6)), np.ones((7, 6))
    gemm.gemm(a, b, fast, trans_a=True, accumulate=True)
    slow_gemm.gemm(a, b, slow, trans_a=True, accumulate=True)
    np.testing.assert_array_equal(fast, slow)


def test_gemm_writes_inside_a_wider_array(small_products):
    rng = np.random.default_rng(2)
    a, b = draw(rng, (6, 9), np.float32)[:, 2:7], draw(rng, (5, 40), np.float32)[:, 1:38]
    wide = np.full((6, 50), 7, np.float32)
    gemm.gemm(a, b, wide[:, 3:40])
    np.testing.assert_array_equal(wide[:, 3:40], a @ b)
    assert (wide[:, :3] == 7).all() and (wide[:, 40:] == 7).all()


@pytest.mark.parametrize(("m", "n", "k"), [(0, 3, 2), (3, 0, 2), (3, 4, 0)])
def test_gemm_without_elements(m, n, k, small_products):
    c = np.full((m, n), 5, np.float32)
    gemm.gemm(np.ones((m, k), np.float32), np.ones((k, n), np.float32), c, accumulate=True)
    assert (c == 5).all()
    gemm.gemm(np.ones((m, k), np.float32), np.ones((k, n), np.float32), c)
    assert (c == 0).all()


@pytest.mark.filterwarnings("error" if JIT else "default")  # Python's own numbers do warn
def test_what_is_infinite_is_no_concern_of_gemm(small_products):
    c = np.empty((3, 3), np.float32)
    gemm.gemm(np.zeros((3, 4), np.float32), np.full((4, 3), np.inf, np.float32), c)
    assert np.isnan(c).all()


# in, kernel, stride, pad, dilation, out or None for all that fit
WINDOWS = [
    ((), (), (), (), (), None),
    ((11,), (3,), (2,), (1,), (1,), None),
    ((5, 7), (3, 2), (1, 1), (0, 0), (1, 1), None),
    ((6, 40), (3, 3), (1, 1), (1, 1), (1, 1), None),
    ((9, 8), (3, 2), (2, 3), (2, 1), (1, 1), None),
    ((9, 10), (2, 3), (1, 2), (1, 3), (3, 2), None),
    ((6, 5), (1, 1), (1, 1), (0, 0), (1, 1), None),
    ((6, 5), (1, 1), (1, 1), (2, 3), (1, 1), None),
    ((7, 8), (1, 1), (2, 3), (0, 0), (1, 1), None),
    ((9, 9), (2, 2), (4, 4), (0, 0), (1, 1), None),
    ((8, 8), (3, 3), (1, 1), (0, 0), (1, 1), (5, 4)),
    ((2, 5), (3, 3), (2, 2), (0, 0), (1, 1), (1, 2)),
    ((2, 3), (3, 5), (1, 1), (0, 1), (1, 2), (2, 2)),
    ((11, 9), (10, 8), (1, 1), (0, 0), (1, 1), None),
    ((9, 1), (3, 1), (2, 3), (1, 0), (1, 2), None),
    ((1, 9, 1), (1, 3, 1), (1, 1, 1), (0, 1, 1), (1, 1, 1), None),
    ((1, 1), (1, 1), (1, 2), (0, 0), (1, 1), None),
    ((18, 21), (4, 4), (2, 2), (1, 1), (1, 1), None),
    ((19, 34), (6, 2), (3, 2), (2, 1), (1, 1), None),
    ((16, 41), (4, 8), (2, 4), (3, 5), (1, 1), None),
    ((40, 2), (3, 2), (2, 1), (2, 0), (2, 1), None),
    ((40, 3), (4, 2), (1, 1), (3, 1), (1, 2), None),
    ((3, 24, 2), (2, 3, 1), (1, 1, 2), (1, 1, 1), (1, 1, 1), None),
    ((4, 5, 6), (2, 3, 2), (1, 2, 1), (1, 0, 1), (1, 1, 2), None),
    ((3, 4, 2, 5), (2, 2, 1, 3), (1, 2, 1, 1), (0, 1, 0, 1), (1, 1, 1, 1), None),
]


def shapes_of(window):
    size, kernel, stride, pad, dilation, out = window
    if out is None:
        ends = zip(size, kernel, stride, pad, dilation, strict=True)
        out = tuple((i + 2 * p - d * (k - 1) - 1) // s + 1 for i, k, s, p, d in ends)
    return size, kernel, stride, pad, dilation, out


@FLOATS
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_im2col_and_col2im(window, dtype):
    size, kernel, stride, pad, dilation, out = shapes_of(window)
    rng = np.random.default_rng(3)
    x = draw(rng, (3, *size), dtype)
    fast, slow = np.full((2, 3, *kernel, *out), np.nan, dtype)
    im2col.im2col(x, fast, kernel, stride, pad, dilation)
    slow_im2col.im2col(x, slow, kernel, stride, pad, dilation)
    np.testing.assert_array_equal(fast, slow)
    back, slow_back = np.full((2, 3, *size), np.nan, dtype)
    im2col.col2im(fast, back, kernel, stride, pad, dilation)
    slow_im2col.col2im(slow, slow_back, kernel, stride, pad, dilation)
    np.testing.assert_array_equal(back, slow_back)


# batch, channels per group, outputs per group, groups
COUNTS = [(1, 1, 1, 1), (2, 3, 5, 1), (3, 2, 3, 2), (2, 1, 1, 4), (5, 18, 33, 1)]


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    """Leave out the one algorithm that rounds where whole numbers need no rounding."""
    monkeypatch.setattr(plan, "FORCED", ["direct"])


def problems():
    """(window, counts); the twin takes long over many channels and three axes or more."""
    for window, counts in itertools.product(WINDOWS, COUNTS if JIT else COUNTS[:3]):
        slow = len(window[0]) > 2 and counts == COUNTS[-1]
        yield pytest.param(window, counts, marks=pytest.mark.long if slow else [])


@FLOATS
@pytest.mark.parametrize(("window", "counts"), [*problems()], ids=str)
def test_convolve(window, counts, dtype):
    check_convolve(window, counts, dtype)


@FLOATS
@pytest.mark.parametrize("window", [w for w in WINDOWS if len(w[0]) < 3], ids=str)
def test_convolve_by_im2col(window, dtype, monkeypatch):
    """The general path, for shapes that have a faster one."""
    monkeypatch.setattr(plan, "FORCED", ["im2col"])
    check_convolve(window, (3, 2, 3, 2), dtype)


@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "counts", [(_tiles.TILE_ROWS + 3, 2, 3, 2), (2, 18, 67, 1)] if JIT else [COUNTS[2]], ids=str
)
@pytest.mark.parametrize("window", [w for w in WINDOWS if len(w[0]) < 4], ids=str)
def test_convolve_by_taps(window, counts, dtype, monkeypatch):
    """More images, inputs and outputs than one tile has rows and columns."""
    monkeypatch.setattr(plan, "FORCED", ["taps"])
    check_convolve(window, counts, dtype)


def test_taps_of_a_few_images_at_a_time(monkeypatch):
    """Of six images, two are packed at a time."""
    monkeypatch.setattr(plan, "FORCED", ["taps"])
    monkeypatch.setattr(taps, "PACKED_BYTES", 2 * (10 * 6 * 7) * 4 + 1)
    window = (6, 7), (3, 2), (1, 2), (1, 0), (1, 1), None
    shapes = (6, 10, 6, 7), (4, 5, 3, 2), (6, 4, 6, 3)
    planned = plan.plan_convolution(*shapes, *window[2:5], 2, 4)
    assert [part.images for part in planned[:3]] == [2, 2, 2]
    check_convolve(window, (6, 5, 2, 2), np.float32)


@pytest.mark.skipif(not JIT, reason="compares threads")
def test_taps_of_other_threads_change_no_bit(plans_of_same_bits, monkeypatch):
    monkeypatch.setattr(plan, "FORCED", ["taps"])
    rng = np.random.default_rng(1)
    shapes = (4, 6, 9, 7), (10, 3, 3, 3), (4, 10, 5, 7)
    arrays = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    for threads, planned in plans_of_same_bits(*arrays, (2, 1), (1, 1), (1, 1), 2).items():
        assert {(part.way, part.parts) for part in planned[:3]} == {("taps", threads)}


SEVERAL_BLOCKS = pytest.mark.parametrize(
    ("window", "counts"),
    [
        (((30, 33), (3, 3), (1, 1), (1, 1), (1, 1), None), (2, 64, 20, 1)),
        (((30, 33), (5, 4), (2, 3), (1, 1), (1, 1), None), (1, 40, 70, 1)),
        (((3, 4), (3, 3), (1, 1), (1, 1), (1, 1), None), (70, 70, 120, 1)),
        (((40, 50), (1, 1), (1, 1), (0, 0), (1, 1), None), (1, 300, 30, 1)),
        (((7, 7), (3, 3), (1, 1), (1, 1), (1, 1), None), (9, 20, 40, 2)),
        (((13, 13), (1, 1), (1, 1), (0, 0), (1, 1), None), (8, 40, 30, 1)),
        (((20, 20), (2, 2), (2, 2), (0, 0), (1, 1), None), (2, 5, 1100, 1)),
        (((40, 42), (2, 4), (2, 2), (0, 1), (1, 1), None), (1, 3, 1030, 1)),
        (((71, 70), (70, 70), (1, 1), (0, 0), (1, 1), None), (3, 2, 3, 1)),
        (((3000, 4), (7, 2), (2, 1), (3, 0), (1, 1), None), (1, 20, 3, 1)),
    ],
    ids=str,
)


@SEVERAL_BLOCKS
@pytest.mark.skipif(not JIT, reason="too slow without compilation")
def test_convolve_over_several_blocks(window, counts):
    check_convolve(window, counts, np.float32)


@SEVERAL_BLOCKS
@pytest.mark.skipif(not JIT, reason="too slow without compilation")
def test_convolve_by_im2col_over_several_blocks(window, counts, monkeypatch):
    monkeypatch.setattr(plan, "FORCED", ["im2col"])
    check_convolve(window, counts, np.float32)


@pytest.mark.parametrize(
    ("kernel", "size", "transposed"),
    [((3, 3), (14, 14), True), ((5, 5), (10, 10), True), ((480, 1), (482, 65536), False)],
)
def test_weights_are_not_transposed_to_multiply_zeros(kernel, size, transposed):
    """480 x 1 weights, transposed, on 3 x 65,536 pixels took 160 times the products there are."""
    out = tuple(i - k + 1 for i, k in zip(size, kernel, strict=True))
    x, w, y = ((1, 1, *shape) for shape in (size, kernel, out))
    planned = plan.plan_convolution(x, w, y, (1, 1), (0, 0), (1, 1), 1, 4)
    assert (planned.input_gradient.way != "scatter") == transposed


@pytest.mark.parametrize(
    ("x", "w", "y", "stride", "pad", "group", "ways"),
    [  # FCN's fc6 and upscore, U-Net's first up-convolution, HED's second, a depthwise one
        ((1, 512, 22, 22), (4096, 512, 7, 7), (1, 4096, 16, 16), 1, 0, 1, "direct scatter direct"),
        ((1, 21, 568, 568), (21, 21, 16, 16), (1, 21, 70, 70), 8, 0, 1, "direct phases direct"),
        ((1, 512, 32, 32), (1024, 512, 2, 2), (1, 1024, 16, 16), 2, 0, 1, "im2col scatter direct"),
        ((1, 1, 502, 502), (1, 1, 4, 4), (1, 1, 250, 250), 2, 0, 1, "direct spread im2col"),
        (
            (8, 64, 28, 28),
            (64, 1, 5, 5),
            (8, 64, 28, 28),
            1,
            2,
            64,
            "depthwise depthwise depthwise",
        ),
        # DCGAN's, ResNet's in its last stage, and the same for two images
        ((64, 128, 7, 7), (256, 128, 3, 3), (64, 256, 4, 4), 2, 1, 1, "taps taps taps"),
        ((8, 512, 14, 14), (512, 512, 3, 3), (8, 512, 7, 7), 2, 1, 1, "taps taps direct"),
        ((2, 512, 14, 14), (512, 512, 3, 3), (2, 512, 7, 7), 2, 1, 1, "direct scatter direct"),
        # windows of all of a map, which spread would make of 65,536 lines as long
        ((1, 1, 3, 65536), (1, 1, 3, 65536), (1, 1, 1, 1), 1, 0, 1, "im2col scatter im2col"),
    ],
)
def test_shapes_decide(x, w, y, stride, pad, group, ways, monkeypatch):
    monkeypatch.setattr(plan, "FORCED", None)
    axes = (stride,) * 2, (pad,) * 2, (1, 1)
    found = plan.plan_convolution(x, w, y, *axes, group, 4, threads=2, vector_bytes=64)
    assert [product.way for product in found[:3]] == ways.split()


def check_convolve(window, counts, dtype):
    size, kernel, stride, pad, dilation, out = shapes_of(window)
    batch, inputs, outputs, group = counts
    rng = np.random.default_rng(4)
    x = draw(rng, (batch, group * inputs, *size), dtype)
    w = draw(rng, (group * outputs, inputs, *kernel), dtype)
    dy = draw(rng, (batch, group * outputs, *out), dtype)
    options = (stride, pad, dilation, group)

    exact = np.full(dy.shape, np.nan, dtype)
    slow_convolve.forward(x, w, exact, *options)
    for activation in epilogue.ACTIVATIONS.values():
        for linear in False, True:
            last = epilogue.draw(activation, dtype, len(w), linear)
            fast = np.full(dy.shape, np.nan, dtype)
            convolve.forward(x, w, fast, *options, last)
            np.testing.assert_array_equal(fast, epilogue.forward(exact, last))

    fast, slow = np.full((2, *x.shape), np.nan, dtype)
    convolve.backward_input(w, dy, fast, *options)
    slow_convolve.backward_input(w, dy, slow, *options)
    np.testing.assert_array_equal(fast, slow)

    fast, slow = np.full((2, *w.shape), 3, dtype)
    convolve.backward_weight(x, dy, fast, *options)
    slow_convolve.backward_weight(x, dy, slow, *options)
    np.testing.assert_array_equal(fast, slow)


def test_convolve_without_images():
    x, w, y = (np.ones(s, np.float32) for s in [(0, 3, 5, 5), (4, 3, 3, 3), (0, 4, 3, 3)])
    options = ((1, 1), (0, 0), (1, 1))
    convolve.forward(x, w, y, *options)
    convolve.backward_input(w, y, x, *options)
    convolve.backward_weight(x, y, w, *options)
    assert (w == 1).all()


@pytest.mark.skipif(not JIT, reason="nothing is cached without compilation")
def test_cache_notices_edits_in_the_modules_a_kernel_uses(monkeypatch):
    names = _cache.kernel_modules("caffelite.kernels.winograd")
    for module in "winograd", "_winograd_tiles", "_tiles", "_simd", "_link":
        assert f"caffelite.kernels.{module}" in names
    before = _cache.KernelCache(gemm.gemm_rectangle.py_func, None).stamp
    assert before == gemm.gemm_rectangle._cache.stamp
    monkeypatch.setattr(_cache, "_source", lambda module: f"{module}, edited")
    assert before != _cache.KernelCache(gemm.gemm_rectangle.py_func, None).stamp


@pytest.mark.slow
@pytest.mark.skipif(not JIT, reason="compares threads")
def test_convolution_gives_the_same_bits_again_and_on_one_thread(all_threads):
    rng = np.random.default_rng(6)
    x, w = (rng.standard_normal(s).astype(np.float32) for s in [(3, 20, 17, 18), (30, 20, 3, 3)])
    options = ((1, 1), (1, 1), (1, 1))
    results = []
    for threads in (numba.get_num_threads(), numba.get_num_threads(), 1):
        before = numba.get_num_threads()
        numba.set_num_threads(threads)
        y, dx, dw = np.empty((3, 30, 17, 18), np.float32), np.empty_like(x), np.zeros_like(w)
        convolve.forward(x, w, y, *options)
        convolve.backward_input(w, y, dx, *options)
        convolve.backward_weight(x, y, dw, *options)
        numba.set_num_threads(before)
        results.append((y, dx, dw))
    for first, second in zip(results[0], results[1], strict=True):
        np.testing.assert_array_equal(first, second)
    for one, several in zip(results[2][:2], results[0][:2], strict=True):
        np.testing.assert_array_equal(one, several)
