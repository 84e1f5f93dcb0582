"""Bilinear resizing against its twin, and against PyTorch where that is installed."""

import numpy as np
import pytest

from caffelite.kernels import interp

from .reference import interp as ref

SIZES = [((3, 4, 7), (9, 5)), ((2, 5, 6), (2, 3)), ((2, 1, 1), (3, 4)), ((2, 5, 6), (1, 1)),
         ((0, 3, 3), (2, 2)), ((2, 3, 4), (3, 4))]  # fmt: skip

rules = pytest.mark.parametrize("corners", [True, False])
sizes = pytest.mark.parametrize(("shape", "out"), SIZES, ids=str)


@sizes
@rules
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_interp(shape, out, dtype, corners):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape).astype(dtype)
    dy = rng.standard_normal((shape[0], *out)).astype(dtype)
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    y, want_y = np.full(dy.shape, 9, dtype), np.empty(dy.shape)
    interp.forward(x, y, corners)
    ref.forward(x, want_y, corners)
    np.testing.assert_allclose(y, want_y, tolerance, tolerance)
    dx, want_dx = np.full(shape, 9, dtype), np.empty(shape)
    interp.backward(dy, dx, corners)
    ref.backward(dy, want_dx, corners)
    np.testing.assert_allclose(dx, want_dx, tolerance, tolerance)


@sizes
@rules
def test_pytorch_agrees(shape, out, corners):
    torch = pytest.importorskip("torch")
    if shape[0] == 0:
        pytest.skip("PyTorch wants a sample")
    x = np.random.default_rng(0).standard_normal(shape)
    y = np.empty((shape[0], *out))
    interp.forward(x, y, corners)
    bilinear = torch.nn.functional.interpolate
    want = bilinear(torch.tensor(x)[None], out, mode="bilinear", align_corners=corners)
    np.testing.assert_allclose(y, want[0].numpy(), 1e-12, 1e-12)
