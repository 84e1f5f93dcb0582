import numpy as np
import pytest

from caffelite.kernels import bias

from .reference import bias as ref
from .reference import epilogue


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3, 4, 35), (5, 7, 1), (1, 3, 2), (2, 3, 0)], ids=str)
@pytest.mark.parametrize("activation", epilogue.ACTIVATIONS.values(), ids=epilogue.ACTIVATIONS)
def test_bias_agrees_with_its_twin(shape, dtype, activation):
    generator = np.random.default_rng(1)
    y, dy = generator.standard_normal((2, *shape)).astype(dtype)
    db = generator.standard_normal(shape[1]).astype(dtype)
    expected = [array.astype(np.float64) for array in (y, dy, db)]
    last = epilogue.draw(activation, dtype, shape[1], linear=False)
    bias.backward(y, dy, last, db)
    ref.backward(expected[0], expected[1], last, expected[2])
    np.testing.assert_allclose(dy, expected[1], rtol=1e-6)
    np.testing.assert_allclose(db, expected[2], rtol=1e-5, atol=1e-5)
