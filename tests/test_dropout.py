"""What a table row cannot say of Dropout and SeLuDropout: their masks."""

import numpy as np
import pytest

from caffelite.testing import TEST, TRAIN, make_layer

OPTIONS = {
    "dropout_ratio: 0.3": (TRAIN, 1 / 0.7),
    "dropout_ratio: 0.3 scale_train: false": (TRAIN, 1),
    "dropout_ratio: 0.3 sample_weights_test: true": (TEST, 1 / 0.7),
    "dropout_ratio: 0.3 sample_weights_test: true scale_train: false": (TEST, 1),
}


def masks(options, phase, count=1, start=0, seed=1):
    layer, bottom, top = make_layer(
        "Dropout", [np.ones((40, 500))], f"dropout_param {{ {options} }}", phase, seed=seed
    )
    layer.seek(start)
    found = []
    for _ in range(count):
        layer.forward(bottom, top)
        found.append(top[0].data.copy())
    return found


@pytest.mark.parametrize("options", OPTIONS)
def test_a_share_is_dropped_and_the_rest_scaled(options):
    phase, factor = OPTIONS[options]
    (mask,) = masks(options, phase)
    np.testing.assert_allclose(np.unique(mask), [0, factor], 1e-6)
    deviation = np.sqrt(0.3 * 0.7 / mask.size)
    assert abs((mask == 0).mean() - 0.3) < 4 * deviation
    assert abs((mask[:, 1:] == mask[:, :-1]).mean() - (0.3**2 + 0.7**2)) < 8 * deviation


def test_every_pass_draws_anew_and_a_position_brings_back_its_mask():
    first, second, third = masks("", TRAIN, 3)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(masks("", TRAIN, start=2)[0], third)
    np.testing.assert_array_equal(masks("", TRAIN)[0], first)
    assert not np.array_equal(masks("", TRAIN, seed=2)[0], first)


def test_selu_dropout_keeps_mean_and_variance():
    """Dropped values become a alpha + b, others a x + b; of normal x, mean 0 and variance 1."""
    x = np.random.default_rng(3).standard_normal((400, 500))
    options = "selu_dropout_param { dropout_ratio: 0.3 alpha: -1.75 }"
    layer, bottom, top = make_layer("SeLuDropout", [x], options)
    layer.forward(bottom, top)
    y = top[0].data
    dropped = y == np.sort(y, axis=None)[(y.size * 3) // 20]  # one value, given to many
    assert abs(dropped.mean() - 0.3) < 4 * np.sqrt(0.3 * 0.7 / y.size)
    assert abs(y.mean()) < 5e-3 and abs(y.std() - 1) < 5e-3
    a, b = np.polyfit(x[~dropped], y[~dropped], 1)
    np.testing.assert_allclose(a, 1 / np.sqrt(0.7 * (1 + 0.3 * 1.75**2)))
    np.testing.assert_allclose([b, y[dropped][0]], [0.3 * 1.75 * a, 0.3 * 1.75 * a - 1.75 * a])
    top[0].diff[...] = 1
    layer.backward(top, [True], bottom)
    np.testing.assert_allclose(bottom[0].diff, np.where(dropped, 0, a))
