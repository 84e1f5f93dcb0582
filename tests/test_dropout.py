"""What a table row cannot say of Dropout, SpatialDropout and SeLuDropout: their masks."""

import numpy as np
import pytest

from caffelite.errors import NetError
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


SPATIAL = "spatial_dropout_param { dropout_ratio: 0.25 }"


def enets(param_str):
    names = 'module: "spatial_dropout" layer: "SpatialDropoutLayer"'
    return f'python_param {{ {names} param_str: "{param_str}" }}'


@pytest.mark.parametrize(
    "kind, options",
    [("SpatialDropout", SPATIAL), ("Python", enets("{'phase': 'TRAIN', 'p': '0.25'}"))],
)
def test_spatial_dropout_drops_whole_channels_of_each_sample(kind, options):
    x = np.ones((40, 50, 2, 3))
    layer, bottom, top = make_layer(kind, [x], options, TRAIN, seed=1)
    layer.forward(bottom, top)
    mask = top[0].data.copy()
    assert (mask == mask[:, :, :1, :1]).all()
    np.testing.assert_allclose(np.unique(mask.round(6)), [0, 4 / 3], 1e-5)
    assert abs((mask == 0).mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 2000)
    assert (mask[1:, :, 0, 0] != mask[:-1, :, 0, 0]).any(axis=1).all()
    top[0].diff[...] = 1
    layer.backward(top, [True], bottom)
    np.testing.assert_allclose(bottom[0].diff, mask, 1e-5)


@pytest.mark.parametrize("phase, net", [("TEST", TRAIN), ("TEST", TEST), ("TRAIN", TEST)])
def test_enets_layer_scales_where_it_drops_nothing(phase, net):
    options = enets(f"{{'phase': '{phase}', 'p': 0.1}}")
    x = np.arange(12.0).reshape(1, 3, 2, 2)
    layer, bottom, top = make_layer("Python", [x], options, net)
    layer.forward(bottom, top)
    np.testing.assert_allclose(top[0].data, x / 0.9, 1e-6)


@pytest.mark.parametrize(
    "text", ["", "{'p': 0.1}", "{'phase': 'TRAIN', 'p': 1}", "{'phase': 'A', 'p': 0.1}"]
)
def test_enets_layer_says_what_its_param_str_is_to_be(text):
    with pytest.raises(NetError, match="param_str: expected a dict of Python, with 'phase'"):
        make_layer("Python", [(1, 3, 2, 2)], enets(text), TRAIN)
