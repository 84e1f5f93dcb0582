"""What the table of rows cannot ask of the vision layers."""

import numpy as np
import pytest

from caffelite.errors import NetError
from caffelite.testing import TEST, make_layer

CONVOLUTION = 'convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } }'


@pytest.mark.parametrize("kind", ["Convolution", "Deconvolution"])
def test_channels_and_number_of_axes_may_not_change(kind):
    layer, bottom, top = make_layer(kind, [(2, 3, 5, 6)], CONVOLUTION)
    for shape in [(2, 4, 5, 6), (2, 3, 5)]:
        bottom[0].reshape(*shape)
        with pytest.raises(NetError, match="expected 4 axes with 3 channels on axis 1"):
            layer.reshape(bottom, top)
    bottom[0].reshape(1, 3, 9, 4)
    layer.reshape(bottom, top)
    assert top[0].shape == ((1, 4, 7, 2) if kind == "Convolution" else (1, 4, 11, 6))


@pytest.mark.parametrize(
    "kind, options",
    [
        ("Convolution", CONVOLUTION),
        ("Deconvolution", CONVOLUTION),
        ("InnerProduct", "inner_product_param { num_output: 4 }"),
        ("Embed", "embed_param { num_output: 4 input_dim: 2 }"),
    ],
)
def test_gradients_nobody_asks_for_are_left_out(kind, options):
    layer, bottom, top = make_layer(kind, [np.ones((2, 3, 5, 6))], options)
    layer.forward(bottom, top)
    top[0].diff[...] = 1
    for wanted in ([True, False], [False, True]):
        layer.param_propagate_down = wanted
        for blob in layer.blobs:
            blob.diff[...] = 0
        layer.backward(top, [False], bottom)
        assert [bool(blob.diff.any()) for blob in layer.blobs] == wanted
    assert not bottom[0].diff_allocated


def test_crop_passes_over_its_second_bottom_even_if_asked():
    layer, bottom, top = make_layer("Crop", [(1, 1, 2, 3), (1, 1, 1, 1)])
    layer.forward(bottom, top)
    bottom[1].diff[...], top[0].diff[...] = 7, 5
    layer.backward(top, [True, True], bottom)
    assert bottom[0].diff.ravel().tolist() == [5, 0, 0, 0, 0, 0] and bottom[1].diff == 7


@pytest.mark.parametrize(
    ("kind", "shapes", "options", "macs"),
    [  # by hand: values of the larger side, times the weights that touch each
        ("Convolution", [(2, 1, 28, 28)], "num_output: 20 kernel_size: 5", 2 * 20 * 24 * 24 * 25),
        ("Convolution", [(2, 4, 6, 6)], "num_output: 6 kernel_size: 3 group: 2", 2 * 6 * 16 * 18),
        ("Convolution", [(1, 3, 5)] * 2, "num_output: 2 kernel_size: 2", 2 * 2 * 4 * 6),
        ("DepthwiseConvolution", [(2, 4, 6, 6)], "num_output: 4 kernel_size: 3", 2 * 4 * 16 * 9),
        ("Deconvolution", [(2, 4, 3, 3)], "num_output: 6 kernel_size: 2 group: 2", 2 * 36 * 3 * 4),
    ],
)
def test_multiply_adds(kind, shapes, options, macs):
    options = f"convolution_param {{ {options} }}"
    layer, bottom, top = make_layer(kind, shapes, options, tops=len(shapes))
    assert layer.macs([b.shape for b in bottom], [t.shape for t in top]) == macs


def test_pooling_without_backward_gives_the_same_maxima():
    layer, bottom, top = make_layer(
        "Pooling", [(2, 3, 7, 6)], "pooling_param { kernel_size: 3 stride: 2 pad: 1 }", TEST
    )
    layer.forward(bottom, top)
    with_places = top[0].data.copy()
    top[0].data[...] = 0
    layer.needs_backward = False
    layer.forward(bottom, top)
    np.testing.assert_array_equal(top[0].data, with_places)


def test_global_pooling_follows_the_bottom():
    layer, bottom, top = make_layer(
        "Pooling", [(2, 3, 7, 6)], "pooling_param { pool: AVE global_pooling: true }"
    )
    bottom[0].reshape(1, 3, 2, 5)
    layer.reshape(bottom, top)
    bottom[0].data[...] = np.arange(30).reshape(1, 3, 2, 5)
    layer.forward(bottom, top)
    assert top[0].data.ravel().tolist() == [4.5, 14.5, 24.5]


@pytest.mark.parametrize("kind", ["Pooling", "SPP"])
def test_each_pass_draws_anew_and_a_position_brings_its_draws_back(kind):
    options = {
        "Pooling": "pooling_param { pool: STOCHASTIC kernel_size: 4 stride: 4 }",
        "SPP": "spp_param { pyramid_height: 2 pool: STOCHASTIC }",
    }[kind]
    layer, bottom, top = make_layer(kind, [abs(np.random.default_rng(0).random((4, 5, 8, 8)))],
                                    options)  # fmt: skip
    layer.forward(bottom, top)
    first = top[0].data.copy()
    position = layer.position
    layer.forward(bottom, top)
    second = top[0].data.copy()
    assert (first != second).any()
    layer.seek(position)
    layer.forward(bottom, top)
    np.testing.assert_array_equal(top[0].data, second)
