import numpy as np
import pytest

from caffelite.kernels import affine, batch_norm
from caffelite.kernels.epilogue import Epilogue

from .reference import affine as ref_affine
from .reference import batch_norm as ref
from .reference import epilogue

SHAPES = [(3, 4, 35), (5, 7, 1), (2, 1, 64), (1, 3, 2)]
both_types = pytest.mark.parametrize("dtype", [np.float32, np.float64])
all_shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)


def arrays(shape, dtype, mean=0.0, spread=1.0):
    """x, dy, then three arrays of a number per channel."""
    generator = np.random.default_rng(3)
    x, dy = generator.standard_normal((2, *shape))
    perchannel = generator.uniform(0.5, 2, (3, shape[1]))
    return [a.astype(dtype) for a in (x * spread + mean, dy, *perchannel)]


def wide(*given):
    return [np.asarray(a, np.float64) for a in given]


def assert_near(got, want, dtype, factor=1.0):
    for i, (g, w) in enumerate(zip(got, want, strict=True)):
        assert g.dtype == dtype
        limit = factor * 40 * np.finfo(dtype).eps * max(1, abs(w).max())
        assert abs(g - w).max() <= limit, f"array {i}"


def outputs(x):
    """Arrays for what a backward pass fills: one like x, two of a number per channel."""
    return [np.full(s, np.nan, x.dtype) for s in (x.shape, x.shape[1], x.shape[1])]


@both_types
@all_shapes
@pytest.mark.parametrize("activation", epilogue.ACTIVATIONS.values(), ids=epilogue.ACTIVATIONS)
def test_affine_agrees_with_its_twin(shape, dtype, activation):
    x, dy, *_ = arrays(shape, dtype)
    y, expected = np.empty_like(x), np.empty(shape)
    last = epilogue.draw(activation, dtype, shape[1])
    affine.forward(x, last, y)
    ref_affine.forward(*wide(x), last, expected)
    assert_near([y], [expected], dtype)
    got, want, only_sums = outputs(x), wide(*outputs(x)), outputs(x)
    affine.backward(y, dy.copy(), x, last, *got)
    ref_affine.backward(*wide(y, dy, x), last, *want)
    assert_near(got, want, dtype)
    affine.sums(dy * epilogue.slopes(y, last).astype(dtype), x, last.center, *only_sums[1:])
    assert_near(only_sums[1:], want[1:], dtype)


@both_types
@all_shapes
@pytest.mark.parametrize("activation", epilogue.ACTIVATIONS.values(), ids=epilogue.ACTIVATIONS)
def test_batch_norm_agrees_with_its_twin(shape, dtype, activation):
    x, dy, gamma, beta, _ = arrays(shape, dtype)
    last = epilogue.draw(activation, dtype, shape[1])._replace(slope=gamma, offset=beta)
    got, want = outputs(x), wide(*outputs(x))
    batch_norm.forward(x, 0.01, last, *reversed(got))
    ref.forward(*wide(x, 0.01), last._replace(center=0 * beta), *reversed(want))
    assert_near(got, want, dtype)
    y, variance, mean = got
    got, want = outputs(x), wide(*outputs(x))
    batch_norm.backward(y, dy.copy(), x, mean, variance, 0.01, last, False, True, *got)
    ref.backward(*wide(y, dy, x, mean, variance, 0.01), last, *want)
    assert_near(got, want, dtype)


@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.slow)])
@all_shapes
@pytest.mark.parametrize("activation", epilogue.ACTIVATIONS.values(), ids=epilogue.ACTIVATIONS)
def test_a_normalized_sum_agrees_with_its_twin(shape, dtype, activation):
    x, dy, gamma, beta, _ = arrays(shape, dtype)
    addend, more = np.random.default_rng(4).standard_normal((2, *shape)).astype(dtype)
    last = epilogue.draw(activation, dtype, shape[1])._replace(slope=gamma, offset=beta)
    got, want = outputs(x), wide(*outputs(x))
    batch_norm.forward_sum(x, addend, 0.01, last, *reversed(got))
    ref.forward_sum(*wide(x, addend, 0.01), last._replace(center=0 * beta), *reversed(want))
    assert_near(got, want, dtype)
    y, variance, mean = got
    for adds in False, True:
        numbers, own, in_place = (mean, variance, 0.01, last), outputs(x), (dy.copy(), more.copy())
        got, want = [np.empty_like(x), *own], wide(np.empty_like(x), *outputs(x))
        batch_norm.backward_sum(y, dy, more, adds, x, *numbers, *got)
        ref.backward_sum(*wide(y, dy, more), adds, *wide(x, mean, variance, 0.01), last, *want)
        assert_near(got, want, dtype)
        batch_norm.backward_sum(y, *in_place, adds, x, *numbers, *in_place, *own[1:])
        np.testing.assert_array_equal(in_place, got[:2])


@pytest.mark.parametrize("activation", epilogue.ACTIVATIONS.values(), ids=epilogue.ACTIVATIONS)
def test_a_gradient_can_be_added_and_dy_left_as_it_is(activation):
    x, dy, gamma, beta, _ = arrays((3, 4, 35), np.float32)
    last = epilogue.draw(activation, x.dtype, 4)._replace(slope=gamma, offset=beta)
    y, variance, mean = outputs(x)
    batch_norm.forward(x, 0.01, last, mean, variance, y)
    dx, *sums = outputs(x)
    shown = dy.copy()
    batch_norm.backward(y, shown, x, mean, variance, 0.01, last, False, True, dx, *sums)
    np.testing.assert_array_equal(shown, dy * epilogue.slopes(y, last).astype(x.dtype))
    kept, total, same = dy.copy(), x.copy(), [np.empty_like(array) for array in sums]
    batch_norm.backward(y, kept, x, mean, variance, 0.01, last, True, False, total, *same)
    np.testing.assert_array_equal(kept, dy)
    np.testing.assert_array_equal(total, dx + x)
    np.testing.assert_array_equal(same, sums)


def test_in_place_gives_the_same_bits():
    x, dy, gamma, beta, _ = arrays((3, 4, 35), np.float32)
    y, variance, mean = outputs(x)
    last = Epilogue.of(x.dtype, 4, 0, gamma, beta)
    batch_norm.forward(x, 1e-5, last, mean, variance, y)
    overwritten = x.copy()
    batch_norm.forward(overwritten, 1e-5, last, mean, variance, overwritten)
    np.testing.assert_array_equal(overwritten, y)
    dx, dgamma, dbeta = outputs(x)
    for backward in (
        lambda dy, dx: batch_norm.backward(
            y, dy, x, mean, variance, 1e-5, last, False, False, dx, dgamma, dbeta
        ),
        lambda dy, dx: affine.backward(y, dy, x, last, dx, dgamma, dbeta),
    ):
        backward(dy, dx)
        overwritten = dy.copy()
        backward(overwritten, overwritten)
        np.testing.assert_array_equal(overwritten, dx)


@both_types
@pytest.mark.parametrize("mean", [1e2, 1e4])
def test_a_mean_large_beside_the_deviation_costs_no_precision(mean, dtype):
    """Sums of squares of x itself would lose most digits of the variance."""
    x, _, gamma, beta, _ = arrays((8, 3, 200), dtype, mean=mean, spread=0.5)
    got, want = outputs(x), wide(*outputs(x))
    last = Epilogue.of(dtype, 3, 0, gamma, beta)
    batch_norm.forward(x, 1e-5, last, *reversed(got))
    ref.forward(*wide(x, 1e-5), last, *reversed(want))
    assert_near(got[1:], want[1:], dtype)
    # In float64 the twin rounds its mean, too, so that y differs by as much.
    limit = 3e-6 if dtype == np.float32 else 100 * mean * np.finfo(dtype).eps
    assert abs(got[0] - want[0]).max() <= limit


def test_sums_over_many_values_keep_their_digits():
    x = np.full((64, 1, 40000), 0.1, np.float32)
    slope, offset = np.empty((2, 1), np.float32)
    affine.sums(x, x, np.zeros(1, np.float32), slope, offset)
    np.testing.assert_allclose([slope[0], offset[0]], [25600, 256000], 1e-6)


def test_a_constant_channel_has_variance_zero():
    x = np.full((3, 2, 5), 0.1, np.float32)
    y, variance, mean = outputs(x)
    batch_norm.forward(x, 1e-5, Epilogue.of(x.dtype, 2), mean, variance, y)
    assert (variance == 0).all() and (mean == x[0, 0, 0]).all() and (y == 0).all()


def test_not_a_number_stays_visible():
    x = np.zeros((2, 2, 3), np.float32)
    x[1, 1, 2] = np.nan
    y, variance, mean = outputs(x)
    batch_norm.forward(x, 1e-5, Epilogue.of(x.dtype, 2), mean, variance, y)
    for array in (y[:, 1], mean[1], variance[1]):
        assert np.isnan(array).all()
    assert (y[:, 0] == 0).all()


@both_types
@all_shapes
def test_moments_of_a_channel(shape, dtype):
    x = arrays(shape, dtype, mean=100)[0]
    for c in range(shape[1]):
        got = batch_norm.moments(x, c, shape[0] * shape[2])
        want = ref.moments(wide(x)[0], c, shape[0] * shape[2])
        np.testing.assert_allclose(got, want, rtol=1e-10)
