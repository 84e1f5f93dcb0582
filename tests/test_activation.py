"""What central differences cannot say of activations: the gradient where there is a corner."""

import numpy as np
import pytest

from caffelite.testing import make_layer


@pytest.mark.parametrize(
    "type, options, slopes",
    [
        ("AbsVal", "", {0: 0, -3: -1}),
        ("ReLU", "", {0: 0, np.inf: 1}),
        ("ReLU", "relu_param { negative_slope: 0.25 }", {0: 0.25}),
        ("PReLU", "", {0: 0.25}),
        ("ELU", "elu_param { alpha: 0.5 }", {0: 0.5}),
        ("Clip", "clip_param { min: -1 max: 2 }", {-1.5: 0, -1: 1, 2: 1, 2.5: 0}),
        ("BNLL", "", {-800: 0, 0: 0.5, 800: 1}),
        ("Power", "power_param { power: -1 }", {0: -np.inf}),
        ("Power", "power_param { power: 0.5 }", {-1: np.nan, 0: np.inf}),
        ("Power", "power_param { power: 0 }", {0: 0, np.inf: 0}),
        ("Log", "", {0: np.inf}),
        ("Reduction", "reduction_param { axis: 1 operation: ASUM }", {0: 0, -3: -1}),
    ],
)
def test_the_gradient_at_a_corner_is_caffes(type, options, slopes):
    x = np.array(list(slopes), np.float64)[:, None]
    layer, bottom, top = make_layer(type, [x], options)
    layer.forward(bottom, top)
    top[0].diff[...] = 2
    layer.backward(top, [True], bottom)
    np.testing.assert_array_equal(bottom[0].diff.ravel(), [2 * s for s in slopes.values()])
