import numpy as np
import pytest

from caffelite.kernels import affine, epilogue

from .reference import epilogue as ref


@pytest.mark.parametrize("activation", ref.ACTIVATIONS.values(), ids=ref.ACTIVATIONS)
@pytest.mark.parametrize("linear", [False, True])
def test_one_value_is_stored_as_the_twin_says(activation, linear):
    last = ref.draw(activation, np.float64, 5, linear)
    y = np.random.default_rng(1).standard_normal((3, 5, 4)) * 8
    stored = np.empty_like(y)
    for n, c, i in np.ndindex(y.shape):
        stored[n, c, i] = epilogue.stored(y[n, c, i], last, c)
    np.testing.assert_array_equal(stored, ref.forward(y, last))


def test_numbers_stand_for_all_channels():
    last = epilogue.Epilogue.of(np.float32, 3, offset=2, activation=epilogue.LEAKY, leak=0.5)
    for name, value in {"center": 0, "slope": 1, "offset": 2, "leak": 0.5}.items():
        np.testing.assert_array_equal(getattr(last, name), np.full(3, value, np.float32))
    bare = epilogue.Epilogue.of(np.float32, 3)
    assert not any(array.size for array in (bare.center, bare.slope, bare.offset, bare.leak))


@pytest.mark.parametrize("activation", ref.ACTIVATIONS.values(), ids=ref.ACTIVATIONS)
def test_not_a_number_stays_visible(activation):
    x = np.full((1, 2, 3), np.nan, np.float32)
    affine.forward(x, ref.draw(activation, np.float32, 2), x)
    assert np.isnan(x).all()
