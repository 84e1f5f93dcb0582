"""What the table of rows cannot ask of the vision layers."""

import numpy as np
import pytest

from caffelite import Net
from caffelite.errors import NetError
from caffelite.proto.caffe_pb2 import NetParameter
from caffelite.proto.text import parse
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


MASKED = """
layer {{ name: "x" type: "Input" top: "x"
  input_param {{ shape {{ dim: 1 dim: 2 dim: {} dim: {} }} }} }}
layer {{ name: "pool" type: "Pooling" bottom: "x" top: "y" top: "mask"
  pooling_param {{ kernel_size: 2 stride: 2 }} }}
layer {{ name: "up" type: "Upsample" bottom: "y" bottom: "mask" top: "z" {} }}
{}"""
AGAIN = 'layer { name: "again" type: "Upsample" bottom: "y" bottom: "mask" top: "again" }'


def masked(rows, columns, options="", more=""):
    return Net(parse(MASKED.format(rows, columns, options, more), NetParameter), TEST)


@pytest.mark.parametrize("more", ["", AGAIN], ids=["one reader", "two readers"])
def test_a_mask_goes_with_planes_of_the_columns_it_was_made_of(more):
    """In others its places would be elsewhere, without a word."""
    net = masked(6, 8, more=more)
    net.blobs["x"].reshape(1, 2, 6, 7)
    with pytest.raises(NetError) as caught:
        net.reshape()  # rounded up, as Caffe pools: 4 columns, then 8
    said = str(caught.value)
    assert 'layer "up" (Upsample): bottom[1] "mask' in said
    assert "the mask, holds places in 6 x 7 values, and the top has 6 x 8; write upsample_h: 6" in (
        said.replace("\n", " ")
    )
    net = masked(6, 7, "upsample_param { upsample_h: 6 upsample_w: 7 }")
    x = np.random.default_rng(0).standard_normal((1, 2, 6, 7)).astype(np.float32)
    (z,) = (array.copy() for name, array in net.forward(x=x).items() if name == "z")
    np.testing.assert_array_equal(z[z != 0], x[z != 0])
    assert np.count_nonzero(z) == net.blobs["y"].count


def test_a_mask_fits_planes_of_more_rows_and_none_of_fewer():
    masked(6, 8, "upsample_param { upsample_h: 9 upsample_w: 8 }")
    with pytest.raises(NetError, match="holds places in 6 x 8 values, and the top has 5 x 8"):
        masked(6, 8, "upsample_param { upsample_h: 5 upsample_w: 8 }")


def test_planes_larger_than_a_float_tells_apart_have_no_mask():
    param = parse(MASKED.format(4097, 4097, "", ""), NetParameter)
    with pytest.raises(NetError, match="expected at most 16777216 values a plane: float32 tells"):
        Net(param, TEST)
