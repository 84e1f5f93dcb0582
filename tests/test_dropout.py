"""What a table row cannot say of Dropout: its masks."""

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
