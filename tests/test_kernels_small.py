"""What small arrays go through computes the same as the kernels that larger ones go through."""

import numpy as np
import pytest

from caffelite.kernels import affine, axpy, batch_norm, bias, convolve, elementary, gemm, small
from caffelite.kernels.epilogue import RELU, Epilogue

from .reference import axpy as slow_axpy
from .reference import elementary as slow_elementary
from .reference import epilogue

FLOATS = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@pytest.fixture
def both_ways(monkeypatch):
    """Compare what a function leaves in arrays when they count as small, and when not."""

    def compare(run, *arrays):
        compiled, plain = ([a.copy() for a in arrays] for _ in range(2))
        monkeypatch.setattr(small, "LIMIT", 0)
        run(*compiled)
        monkeypatch.setattr(small, "LIMIT", 1 << 40)
        run(*plain)
        for i, (got, want) in enumerate(zip(plain, compiled, strict=True)):
            tolerance = 20 * np.finfo(got.dtype).eps * max(1, abs(want).max(initial=0))
            np.testing.assert_allclose(got, want, 0, tolerance, err_msg=f"array {i}", strict=True)

    return compare


def noise(dtype, *shapes):
    generator = np.random.default_rng(8)
    return [generator.standard_normal(shape).astype(dtype) for shape in shapes]


@FLOATS
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("trans", [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize(("m", "n", "k"), [(3, 5, 7), (1, 4, 40), (6, 1, 33), (2, 3, 0)])
def test_gemm(both_ways, m, n, k, trans, accumulate, dtype):
    a, b, c = noise(dtype, (k, m) if trans[0] else (m, k), (n, k) if trans[1] else (k, n), (m, n))
    both_ways(lambda c: gemm.gemm(a, b, c, *trans, accumulate), c)


CONVOLUTIONS = {  # x, w, y, (stride, pad, dilation), group
    "plain": ((2, 3, 6, 5), (4, 3, 3, 3), (2, 4, 4, 3), ((1, 1), (0, 0), (1, 1)), 1),
    "all": ((2, 4, 7, 9), (6, 2, 3, 2), (2, 6, 3, 10), ((2, 1), (1, 2), (2, 3)), 2),
    "1x1": ((1, 5, 1, 1), (3, 5, 1, 1), (1, 3, 1, 1), ((1, 1), (0, 0), (1, 1)), 1),
    "no axis": ((3, 4), (2, 4), (3, 2), ((), (), ()), 1),
    "1 axis": ((2, 2, 8), (3, 2, 3), (2, 3, 3), ((2,), (0,), (1,)), 1),
    "3 axes": (
        (1, 2, 3, 4, 5),
        (2, 2, 2, 2, 2),
        (1, 2, 2, 3, 4),
        ((1,) * 3, (0,) * 3, (1,) * 3),
        1,
    ),
    "depthwise": ((2, 4, 5, 5), (4, 1, 3, 3), (2, 4, 5, 5), ((1, 1), (1, 1), (1, 1)), 4),
    "no image": ((0, 3, 6, 5), (4, 3, 3, 3), (0, 4, 4, 3), ((1, 1), (0, 0), (1, 1)), 1),
}


@FLOATS
@pytest.mark.parametrize("case", CONVOLUTIONS.values(), ids=list(CONVOLUTIONS))
def test_convolution(both_ways, case, dtype):
    *shapes, geometry, group = case
    x, w, y = noise(dtype, *shapes)
    for activation in epilogue.ACTIVATIONS.values():
        last = epilogue.draw(activation, dtype, len(w))
        both_ways(lambda y, e=last: convolve.forward(x, w, y, *geometry, group, e), y)
    both_ways(lambda dx: convolve.backward_input(w, y, dx, *geometry, group), x)
    both_ways(lambda dw: convolve.backward_weight(x, y, dw, *geometry, group), w)


@FLOATS
@pytest.mark.parametrize("activation", epilogue.ACTIVATIONS.values(), ids=epilogue.ACTIVATIONS)
@pytest.mark.parametrize("shape", [(3, 4, 35), (1, 7, 1), (5, 1, 8), (0, 2, 3), (2, 3, 0)], ids=str)
def test_channels(both_ways, shape, activation, dtype):
    y, x, dy, like_x = noise(dtype, *[shape] * 4)
    center, offset, *sums = noise(dtype, *[shape[1:2]] * 4)
    slope = noise(dtype, shape[1:2])[0]
    last = epilogue.draw(activation, dtype, shape[1])._replace(slope=slope)
    both_ways(lambda y: affine.forward(x, last, y), y)
    both_ways(lambda dy, *out: affine.backward(y, dy, x, last, *out), dy, like_x, *sums)
    both_ways(lambda *out: affine.sums(dy, x, center, *out), *sums)
    both_ways(lambda dy, db: bias.backward(y, dy, last, db), dy, offset)
    if x.size == 0:
        return
    both_ways(lambda *out: batch_norm.forward(x, 1e-3, last, *out), *sums, like_x)
    mean, variance = x.mean((0, 2)), x.var((0, 2))
    both_ways(
        lambda dy, *out: batch_norm.backward(y, dy, x, mean, variance, 1e-3, last, *out),
        dy, like_x, *sums,
    )  # fmt: skip


@FLOATS
@pytest.mark.parametrize("name", ["exp", "tanh"])
def test_elementary_functions(both_ways, name, dtype):
    x, y = noise(dtype, (5, 7), (5, 7))
    both_ways(lambda y: getattr(elementary, name)(x, y), y)
    both_ways(lambda x: getattr(elementary, name)(x, x), x)
    twin = np.empty(x.shape)
    getattr(slow_elementary, name)(x, twin)
    getattr(elementary, name)(x, y)
    np.testing.assert_allclose(y, twin, 2 * np.finfo(dtype).eps)


@FLOATS
def test_axpy_agrees_with_its_twin(dtype):
    x, y = noise(dtype, 1000, 1000)
    got, want = y.copy(), y.astype(np.float64)
    axpy.axpy(0.3, x, got)
    slow_axpy.axpy(dtype(0.3), x.astype(np.float64), want)
    assert abs(got - want).max() <= np.finfo(dtype).eps * abs(want).max()


@pytest.mark.filterwarnings("error")
def test_what_is_infinite_is_no_concern_of_kernels(monkeypatch):
    monkeypatch.setattr(small, "LIMIT", 1 << 40)
    x, one = np.full((2, 3, 4), np.inf, np.float32), np.ones(3, np.float32)
    last = Epilogue.of(x.dtype, 3, 0, 0, 1, RELU)
    affine.forward(x, last, x.copy())
    mean, variance = one.copy(), one.copy()
    batch_norm.forward(x, 1e-5, last, mean, variance, x.copy())
    out = x.copy(), one.copy(), one.copy()
    batch_norm.backward(x.copy(), x.copy(), x, mean, variance, 1e-5, last, *out)
    gemm.gemm(np.zeros((3, 4), np.float32), x[0], np.empty((3, 3), np.float32), trans_b=True)
