import numpy as np
import pytest

from caffelite.kernels import bias

from .reference import bias as ref


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3, 4, 35), (5, 7, 1), (1, 3, 2), (2, 3, 0)], ids=str)
@pytest.mark.parametrize("rectify", [False, True])
def test_bias_agrees_with_its_twin(shape, dtype, rectify):
    generator = np.random.default_rng(1)
    y, dy = generator.standard_normal((2, *shape)).astype(dtype)
    db = generator.standard_normal(shape[1]).astype(dtype)
    expected = [array.astype(np.float64) for array in (y, dy, db)]
    bias.backward(y, dy, rectify, db)
    ref.backward(expected[0], expected[1], rectify, expected[2])
    np.testing.assert_allclose(dy, expected[1], rtol=1e-6)
    np.testing.assert_allclose(db, expected[2], rtol=1e-5, atol=1e-5)
