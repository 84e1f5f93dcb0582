"""What rows cannot say of the layers that only move data: whose memory, and which draw."""

import numpy as np
import pytest
from google.protobuf import text_format

import caffelite
from caffelite.proto import caffe_pb2
from caffelite.testing import TRAIN, make_layer


def net_of(text):
    return caffelite.Net(text_format.Parse(text, caffe_pb2.NetParameter()), TRAIN)


@pytest.mark.parametrize(
    "type, options",
    [
        ("Flatten", ""),
        ("Reshape", "reshape_param { shape { dim: -1 } }"),
        ("Concat", ""),
        ("Slice", ""),
    ],
)
def test_the_only_top_shares_data_and_diff(type, options):
    _, bottom, top = make_layer(type, [(2, 3, 4)], options)
    top[0].data[...] = 3
    top[0].diff[...] = 4
    assert (bottom[0].data == 3).all() and (bottom[0].diff == 4).all()


def test_split_shares_data_and_keeps_diffs_apart():
    layer, bottom, top = make_layer("Split", [(2, 3)], tops=3)
    bottom[0].data[...] = 3
    assert all((t.data == 3).all() for t in top)
    top[0].diff[...], top[2].diff[...] = 1, 2
    layer.backward(top, [True], bottom)
    assert not top[1].diff_allocated
    assert (bottom[0].diff == 3).all()


def test_split_without_any_gradient_gives_zero():
    layer, bottom, top = make_layer("Split", [(2, 3)], tops=2)
    bottom[0].diff[...] = 5
    layer.backward(top, [True], bottom)
    assert (bottom[0].diff == 0).all()


def test_sharing_survives_a_larger_batch():
    layer, bottom, top = make_layer("Flatten", [(2, 3, 4)])
    bottom[0].reshape(5, 3, 4)
    layer.reshape(bottom, top)
    bottom[0].data[...] = 7
    assert top[0].shape == (5, 12) and (top[0].data == 7).all()


def test_propagate_down_false_keeps_a_shared_diff_from_other_readers():
    """x reaches the loss twice; the way through Flatten must not count."""
    net = net_of("""
        force_backward: true
        layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
        layer { name: "f" type: "Flatten" bottom: "x" top: "f" propagate_down: false }
        layer { name: "s" type: "Eltwise" bottom: "x" bottom: "f" top: "s" loss_weight: 1 }
    """)
    net.forward()
    net.backward()
    np.testing.assert_array_equal(net.blobs["x"].diff, 1)


def test_ties_of_a_maximum_go_to_bottom_1_then_to_the_earlier():
    a, b, c = np.array([[1.0, 5, 2, 2]]), np.array([[1.0, 4, 1, 2]]), np.array([[1.0, 5, 2, 3]])
    layer, bottom, top = make_layer("Eltwise", [a, b, c], "eltwise_param { operation: MAX }")
    layer.forward(bottom, top)
    assert top[0].data.tolist() == [[1, 5, 2, 3]]
    top[0].diff[...] = [[10, 20, 30, 40]]
    layer.backward(top, [True] * 3, bottom)
    assert bottom[0].diff.tolist() == [[0, 20, 30, 0]]
    assert bottom[1].diff.tolist() == [[10, 0, 0, 0]]
    assert bottom[2].diff.tolist() == [[0, 0, 0, 40]]


def test_the_gradient_of_a_product_by_division_is_nan_at_zero():
    options = "eltwise_param { operation: PROD stable_prod_grad: %s }"
    for stable, expected in (("true", [3.0, 6.0]), ("false", [np.nan, 6.0])):
        arrays = [np.array([0.0, 1]), np.array([3.0, 6])]
        layer, bottom, top = make_layer("Eltwise", arrays, options % stable)
        layer.forward(bottom, top)
        top[0].diff[...] = 1
        layer.backward(top, [True, True], bottom)
        np.testing.assert_array_equal(bottom[0].diff, expected)


def test_stochastic_sum_draws_once_per_batch_and_again_from_the_same_position():
    options = "eltwise_param { operation: STOCHASTIC_SUM coeff: 1 coeff: 0.7 }"
    one, ten = np.ones((2, 3)), np.full((2, 3), 10.0)
    layer, bottom, top = make_layer("Eltwise", [one, ten], options)
    sums = []
    for _ in range(500):
        layer.forward(bottom, top)
        assert np.ptp(top[0].data) == 0
        top[0].diff[...] = 1
        layer.backward(top, [True, True], bottom)
        assert (bottom[0].diff == 1).all()
        assert (bottom[1].diff == (top[0].data[0, 0] == 11)).all()
        sums.append(top[0].data[0, 0])
    assert set(sums) == {1, 11}
    assert abs(sums.count(11) / 500 - 0.7) < 0.08
    layer.seek(0)
    layer.forward(bottom, top)
    first = top[0].data[0, 0]
    assert first == sums[0] and layer.position == 1


def test_silence_clears_the_diffs_it_is_asked_for():
    layer, bottom, top = make_layer("Silence", [(2, 3), (4,)])
    for blob in bottom:
        blob.diff[...] = 5
    layer.backward(top, [True, False], bottom)
    assert (bottom[0].diff == 0).all() and (bottom[1].diff == 5).all()


@pytest.mark.parametrize(
    "type",
    "BNLL BatchNorm Bias Clip Dropout ELU Exp Log MVN PReLU Power ReLU Scale Sigmoid Softmax Swish "
    "TanH Threshold".split(),
)
def test_what_can_compute_in_place_does(type):
    options = "clip_param { min: 0 max: 1 }" if type == "Clip" else ""
    assert make_layer(type, [(2, 3, 1, 1)], options)[0].in_place


@pytest.mark.parametrize(
    "type, options",
    [
        *[(type, "") for type in ("Flatten", "Reshape", "Split", "Concat", "Slice", "AbsVal")],
        ("ReLU", "relu_param { negative_slope: -1 }"),
        ("ELU", "elu_param { alpha: -1 }"),
    ],
)
def test_what_cannot_compute_in_place_refuses_to(type, options):
    with pytest.raises(RuntimeError, match=r'top\[0\] "x" is its bottom, too, .* name of its own'):
        net_of(f"""
            layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 2 dim: 3 }} }} }}
            layer {{ name: "l" type: "{type}" bottom: "x" top: "x" {options} }}
        """)


def test_what_follows_a_filter_sees_as_many_samples_as_it_lets_through():
    net = net_of("""
        force_backward: true
        layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 3 } } }
        layer { name: "s" type: "Input" top: "s" input_param { shape { dim: 4 } } }
        layer { name: "f" type: "Filter" bottom: "x" bottom: "s" top: "f" }
        layer { name: "r" type: "Reduction" bottom: "f" top: "r" loss_weight: 1
                reduction_param { axis: 1 } }
    """)
    net.blobs["x"].data[...] = np.arange(12).reshape(4, 3)
    assert net.blobs["f"].shape == (4, 3)
    for selector, sums in (([0, 1, 0, 1], [12, 30]), ([0, 0, 0, 0], []), ([1, 1, 1, 1], None)):
        net.blobs["s"].data[...] = selector
        net.forward()
        if sums is not None:
            assert net.blobs["r"].data.tolist() == sums
        assert net.blobs["r"].shape == (sum(selector),)
        net.backward()
        np.testing.assert_array_equal(net.blobs["x"].diff, np.repeat([selector], 3, 0).T)


def test_a_parameter_is_learned_and_may_be_shared():
    net = net_of("""
        layer { name: "a" type: "Parameter" top: "a" param { name: "w" }
                parameter_param { shape { dim: 2 dim: 3 } } }
        layer { name: "b" type: "Parameter" top: "b" param { name: "w" }
                parameter_param { shape { dim: 2 dim: 3 } } }
        layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum"
                eltwise_param { coeff: 2 coeff: 3 } loss_weight: 1 }
    """)
    assert len(net.learnable) == 1
    net.params["a"][0].data[...] = 4
    net.forward()
    assert (net.blobs["sum"].data == 20).all()
    for passes in (1, 2):  # as iter_size: 2 does
        net.backward()
        assert (net.learnable[0].blob.diff == 5 * passes).all()


READ_TWICE = """
    layer { name: "a" type: "Parameter" top: "a" param { name: "w" }
            parameter_param { shape { dim: 2 } } blobs { shape { dim: 2 } data: 3 data: 4 } }
    layer { name: "b" type: "Parameter" top: "b" param { name: "w" }
            parameter_param { shape { dim: 2 } } }
    layer { name: "row" type: "Reshape" bottom: "b" top: "row"
            reshape_param { shape { dim: 1 dim: 2 } } }
    layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum" }
    layer { name: "twice" type: "Power" bottom: "a" top: "twice" power_param { scale: 2 } }
"""


def test_all_readers_see_the_values_of_a_parameter():
    """Splits and Reshapes share its memory: that of its owner, or of another net's layer."""
    net, other = net_of(READ_TWICE), net_of(READ_TWICE)
    other.forward()
    net.params["a"][0].data[...] = [5, 6]
    other.share_with(net)
    for values in ([5, 6], [7, 8]):
        net.params["a"][0].data[...] = values
        for user in (net, other):
            found = user.forward()
            assert found["row"].tolist() == [values]
            assert found["sum"].tolist() == found["twice"].tolist() == [2 * v for v in values]


def test_maxout_does_what_slice_and_maximum_do():
    x = np.random.default_rng(0).standard_normal((2, 6, 4))
    layer, bottom, top = make_layer("Maxout", [x], "maxout_param { num_pieces: 3 }")
    layer.forward(bottom, top)
    slices, bottom, parts = make_layer("Slice", [x], tops=3)
    slices.forward(bottom, parts)
    maximum, _, largest = make_layer(
        "Eltwise", [p.data for p in parts], "eltwise_param { operation: MAX }"
    )
    maximum.forward(parts, largest)
    np.testing.assert_array_equal(top[0].data, largest[0].data)
