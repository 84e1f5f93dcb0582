import numpy as np
import pytest

from caffelite.kernels import embed

from .reference import embed as twin


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [0, 1, 50])
def test_rows_add_up(rows, dtype):
    generator = np.random.default_rng(0)
    dy = generator.standard_normal((rows, 3)).astype(dtype)
    index = generator.integers(0, 7, rows)
    dw = np.ones((7, 3), dtype)
    want = dw.copy()
    embed.add_rows(dy, index, dw)
    twin.add_rows(dy, index, want)
    np.testing.assert_array_equal(dw, want)
