import numpy as np
import pytest

from caffelite.kernels import prelu

from .reference import prelu as twin


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3, 5, 7), (2, 1, 100), (0, 4, 3), (4, 6, 1)])
def test_prelu_agrees_with_its_twin(shape, dtype):
    generator = np.random.default_rng(0)
    x, dy = generator.standard_normal((2, *shape)).astype(dtype)
    slope = generator.standard_normal(shape[1]).astype(dtype)
    slope[0] = 0
    for name in ("forward", "backward"):
        given = (x,) if name == "forward" else (x, dy)
        want, apart, together = np.empty_like(x), np.empty_like(x), given[-1].copy()
        getattr(twin, name)(*given, slope, want)
        getattr(prelu, name)(*given, slope, apart)
        getattr(prelu, name)(*given[:-1], together, slope, together)
        np.testing.assert_array_equal(apart, want)
        np.testing.assert_array_equal(together, want)
    got, want = np.ones((2, shape[1]), dtype)
    twin.slope_gradient(x, dy, want)
    prelu.slope_gradient(x, dy, got)
    np.testing.assert_allclose(got, want, 1e-5)
