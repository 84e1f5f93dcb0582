"""What a table row cannot say of MarginInnerProduct: its own backward, and how lambda falls."""

import numpy as np
import pytest

from caffelite.testing import make_layer

TYPES = ["DOUBLE", "TRIPLE", "QUADRUPLE"]


def layer_of(x, labels, options):
    options = f"margin_inner_product_param {{ num_output: 3 {options} }}"
    layer, bottom, top = make_layer("MarginInnerProduct", [x, labels], options, tops=2)
    layer.weight.assign(np.random.default_rng(3).standard_normal((3, 4)))
    return layer, bottom, top


@pytest.mark.parametrize("ratio", [0, 3])
@pytest.mark.parametrize("type", TYPES)
def test_the_gradient_of_the_margin_has_coefficients_of_length_1(type, ratio):
    """Of |x| f(t), by central differences, as a sum of w and x."""
    x, labels = np.random.default_rng(4).standard_normal((20, 4)), np.arange(20) % 3
    layer, bottom, top = layer_of(x, labels, f"type: {type} base: {ratio} gamma: 0")
    layer.forward(bottom, top)
    top[0].diff[...] = np.random.default_rng(5).standard_normal((20, 3))
    layer.backward(top, [True, False], bottom)
    weight, dy, dx = layer.weight.data.copy(), top[0].diff, bottom[0].diff

    exact, below, above = layer_of(x, labels, f"type: {type} base: 0")
    slope, step = np.empty_like(x), 1e-6
    for j in range(4):
        sides = []
        for sign in (1, -1):
            below[0].data[...] = x
            below[0].data[:, j] += sign * step
            exact.forward(below, above)
            sides.append(above[0].data[np.arange(20), labels].copy())
        slope[:, j] = (sides[0] - sides[1]) / (2 * step)
    for i, label in enumerate(labels):
        parts = np.stack([weight[label], x[i]], 1)
        uv, (error,), *_ = np.linalg.lstsq(parts, slope[i], rcond=None)
        assert error < 1e-10
        margin = parts @ (uv / np.hypot(*uv))
        others = np.delete(dy[i], label) @ np.delete(weight, label, 0)
        own = dy[i, label] * (margin + ratio * weight[label]) / (1 + ratio)
        np.testing.assert_allclose(dx[i], others + own, 1e-5, 1e-5)
    np.testing.assert_allclose(layer.weight.diff, dy.T @ x)


def test_lambda_falls_from_pass_to_pass_and_goes_on_where_it_was():
    options = "type: DOUBLE base: 100 gamma: 2 power: 1 lambda_min: 15"
    layer, bottom, top = layer_of(np.ones((2, 4)), np.zeros(2), options)
    shown = []
    for _ in range(4):
        layer.forward(bottom, top)
        shown.append(top[1].data.item())
    np.testing.assert_allclose(shown, [100 / 3, 100 / 5, 15, 15])
    np.testing.assert_allclose(np.linalg.norm(layer.weight.data, axis=1), 1)
    assert layer.macs([(2, 4), (2,)], [(2, 3)]) == 2 * 3 * 4
    layer.seek(1)
    layer.forward(bottom, top)
    assert top[1].data == 20
