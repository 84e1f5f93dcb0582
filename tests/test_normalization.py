import numpy as np
import pytest

from caffelite.errors import NetError
from caffelite.testing import TEST, TRAIN, make_layer


@pytest.mark.parametrize("phase, mode", [(TRAIN, ""), (TEST, "use_global_stats: false")])
def test_batch_norm_keeps_running_sums(phase, mode):
    x = np.arange(6.0).reshape(2, 3, 1) ** 2
    options = f"batch_norm_param {{ moving_average_fraction: 0.5 {mode} }}"
    layer, bottom, top = make_layer("BatchNorm", [x], options, phase)
    layer.forward(bottom, top)
    layer.forward(bottom, top)
    mean, variance, factor = (blob.data for blob in layer.blobs)
    rows = np.swapaxes(x, 0, 1).reshape(3, 2)
    np.testing.assert_allclose(factor, [1.5])
    np.testing.assert_allclose(mean, 1.5 * rows.mean(1))
    np.testing.assert_allclose(variance, 1.5 * rows.var(1, ddof=1))


def test_batch_norm_keeps_the_variance_of_a_single_value():
    layer, bottom, top = make_layer("BatchNorm", [np.full((1, 2), 3.0)])
    layer.forward(bottom, top)
    assert [blob.data.tolist() for blob in layer.blobs] == [[3, 3], [0, 0], [1]]


@pytest.mark.parametrize("options", ["", "batch_norm_param { use_global_stats: true }"])
def test_batch_norm_with_stored_statistics_changes_no_blob(options):
    layer, bottom, top = make_layer("BatchNorm", [(2, 3, 4)], options, TRAIN if options else TEST)
    layer.forward(bottom, top)
    assert all((blob.data == 0).all() for blob in layer.blobs)


def test_batch_norm_shields_its_statistics_from_the_solver():
    layer, _, _ = make_layer("BatchNorm", [(2, 3)], "param { lr_mult: 0 decay_mult: 0 }")
    assert [spec.lr_mult for spec in layer.param.param] == [0, 0, 0]
    assert [spec.decay_mult for spec in layer.param.param] == [0, 1, 1]


def test_batch_norm_starts_scale_and_bias_from_fillers():
    fill = "batch_norm_param { scale_bias: true %s { value: 3 } bias_filler { value: 2 } }"
    for filler in ("filler", "scale_filler"):
        layer, _, _ = make_layer("BatchNorm", [(2, 3)], fill % filler)
        assert [b.data.tolist() for b in layer.blobs[3:]] == [[3, 3, 3], [2, 2, 2]]
    layer, _, _ = make_layer("BatchNorm", [(2, 3)], "batch_norm_param { scale_bias: true }")
    assert [b.data.tolist() for b in layer.blobs[3:]] == [[1, 1, 1], [0, 0, 0]]


@pytest.mark.parametrize(
    "filler, starts",
    [
        ("scale_filler { value: 2 }", [[2, 2, 2], [0, 0, 0]]),
        ("filler { value: 2 }", [[2, 2, 2], [0, 0, 0]]),
        ("bias_filler { value: 7 }", [[1, 1, 1], [7, 7, 7]]),
        ("scale_bias: false bias_filler { value: 7 }", [[1, 1, 1], [7, 7, 7]]),
    ],
)
def test_a_filler_alone_gives_batch_norm_scale_and_bias(filler, starts):
    """As in NVCaffe, where some nets say no more than that."""
    layer, _, _ = make_layer("BatchNorm", [(2, 3)], f"batch_norm_param {{ {filler} }}")
    assert [b.data.tolist() for b in layer.blobs[3:]] == starts


@pytest.mark.parametrize(
    "specs, rates",
    [
        ("", [0, 0, 0]),
        ("param { lr_mult: 0 } param { lr_mult: 0 } param { lr_mult: 0 }", [0, 0, 0]),
        ("param { lr_mult: 2 } param { lr_mult: 3 }", [0, 0, 0, 2, 3]),
        ("param { decay_mult: 0 }", [0, 0, 0, 1]),
        (
            "param { lr_mult: 2 } param { lr_mult: 3 } param { lr_mult: 0 } param { lr_mult: 0 }",
            [0, 0, 0, 2, 3],
        ),
    ],
)
def test_specs_of_scale_and_bias_in_front_are_put_behind_the_statistics(specs, rates):
    """NVCaffe 0.15 had its blobs in that order, and nets for it still do."""
    options = f"{specs} batch_norm_param {{ scale_bias: true }}"
    layer, _, _ = make_layer("BatchNorm", [(2, 3)], options)
    assert [spec.lr_mult for spec in layer.param.param] == rates
    if "decay_mult" in specs:
        assert layer.param.param[3].decay_mult == 0


def test_a_learning_rate_of_statistics_is_still_refused_beside_scale_and_bias():
    specs = "param { lr_mult: 1 } param { lr_mult: 1 } param { lr_mult: 1 } param { lr_mult: 0 }"
    with pytest.raises(RuntimeError, match=r"param\[0\] has lr_mult 1, expected 0"):
        make_layer("BatchNorm", [(2, 3)], f"{specs} batch_norm_param {{ scale_bias: true }}")


@pytest.mark.parametrize("type", ["BatchNorm", "Scale"])
def test_x_is_copied_in_place_only_for_a_backward_pass(type):
    for needed in (True, False):
        layer, bottom, top = make_layer(type, [(2, 3, 4)], in_place=True)
        layer.needs_backward = needed
        layer.forward(bottom, top)
        assert hasattr(layer, "copy") == needed


def test_channels_may_not_change_after_setup():
    for type in ("BatchNorm", "Scale", "Bias", "PReLU"):
        layer, bottom, top = make_layer(type, [(2, 3, 4)])
        bottom[0].reshape(2, 4, 3)
        with pytest.raises(RuntimeError, match="as at setup"):
            layer.reshape(bottom, top)


def test_values_in_the_net_file_win_over_fillers():
    layer, _, _ = make_layer("Scale", [(2, 3)], "blobs { data: [4, 5, 6] shape { dim: 3 } }")
    assert layer.blobs[0].data.tolist() == [4, 5, 6]


@pytest.mark.parametrize(
    "options, in_place, left",
    [
        ("", False, True),
        ("", True, False),
        ("param { lr_mult: 0 }", False, False),
        ("scale_param { num_axes: -1 axis: 0 }", False, False),  # dy * x is the gradient itself
        ("propagate_down: false", False, False),
    ],
)
def test_scale_leaves_its_products_where_caffe_does(options, in_place, left):
    layer, bottom, top = make_layer("Scale", [(2, 3, 4)], options, in_place=in_place)
    layer.param_propagate_down = ["lr_mult" not in options]
    layer.forward(bottom, top)
    x, dy = bottom[0].data.copy(), np.arange(24.0).reshape(2, 3, 4)
    bottom[0].diff[...] = 7
    top[0].diff[...] = dy
    layer.backward(top, [False], bottom)
    np.testing.assert_array_equal(bottom[0].diff, dy * x if left else dy if in_place else 7)


@pytest.mark.parametrize(
    "type, options, first",
    [
        ("Bias", "", 0),
        ("Scale", "scale_param { bias_term: true }", 0),
        ("BatchNorm", "batch_norm_param { scale_bias: true }", 3),
        ("BN", "", 0),
    ],
)
def test_blobs_that_do_not_learn_get_no_gradient(type, options, first):
    """It would count in the norm that clip_gradients goes by."""
    layer, bottom, top = make_layer(type, [(2, 3, 4)], options)
    layer.forward(bottom, top)
    for frozen in range(first, min(first + 2, len(layer.blobs))):
        layer.param_propagate_down = [i != frozen for i in range(len(layer.blobs))]
        for blob in layer.blobs:
            blob.diff[...] = 0
        top[0].diff[...] = bottom[0].data + 1
        layer.backward(top, [True], bottom)
        for i, blob in enumerate(layer.blobs[first : first + 2], first):
            assert (blob.diff != 0).all() == (i != frozen)


def test_bn_averages_statistics_of_batches_and_shields_them():
    x = np.arange(24.0).reshape(2, 3, 4) ** 2
    specs = "param { lr_mult: 2 } " * 4
    layer, bottom, top = make_layer("BN", [x], specs + "bn_param { momentum: 0.75 }")
    assert [spec.decay_mult for spec in layer.param.param] == [1, 1, 0, 0]
    layer.forward(bottom, top)
    layer.forward(bottom, top)
    rows = np.swapaxes(x, 0, 1).reshape(3, 8)
    share = 0.25 * 0.75 + 0.25
    np.testing.assert_allclose(layer.blobs[2].data.ravel(), share * rows.mean(1))
    np.testing.assert_allclose(layer.blobs[3].data.ravel(), share * rows.var(1))
    assert [spec.lr_mult for spec in layer.param.param] == [2, 2, 0, 0]


@pytest.mark.parametrize("type", ["BN", "BatchNorm"])
def test_a_layer_with_scale_and_bias_is_a_batch_norm_and_a_scale(type):
    """How models of the one go into nets of the other: statistics with the factor 1."""
    generator = np.random.default_rng(1)
    x, (scale, bias, mean), variance = (
        generator.standard_normal((2, 3, 4)),
        generator.standard_normal((3, 3)),
        generator.random(3) + 0.5,
    )
    if type == "BN":
        options, blobs = "bn_param { eps: 0.01 }", (scale, bias, mean, variance)
    else:  # as in NVIDIA's fork
        options = "batch_norm_param { eps: 0.01 scale_bias: true engine: CUDNN }"
        blobs = mean, variance, 1, scale, bias
    one, bottom, top = make_layer(type, [x], options, TEST)
    normal, below, middle = make_layer("BatchNorm", [x], "batch_norm_param { eps: 0.01 }", TEST)
    affine, _, above = make_layer("Scale", [x], "scale_param { bias_term: true }", TEST)
    for layer, values in ((one, blobs), (normal, (mean, variance, 1)), (affine, (scale, bias))):
        for blob, array in zip(layer.blobs, values, strict=True):
            blob.assign(array)
    one.forward(bottom, top)
    normal.forward(below, middle)
    affine.forward(middle, above)
    np.testing.assert_allclose(top[0].data, above[0].data, 1e-9)


def test_frozen_bn_learns_nothing_and_starts_at_the_identity_times_the_slope():
    layer, bottom, top = make_layer(
        "BN", [(2, 3, 4)], "bn_param { frozen: true eps: 0 slope_filler { value: 2 } }"
    )
    layer.forward(bottom, top)
    np.testing.assert_allclose(top[0].data, 2 * bottom[0].data)
    assert [spec.lr_mult for spec in layer.param.param] == [0] * 4
    assert (layer.blobs[2].data == 0).all() and (layer.blobs[3].data == 1).all()


def test_mvn_adds_eps_to_the_deviation_on_the_way_back_too():
    x, dy = np.array([[-3.0, 1, 2]]), np.array([[1.0, 5, 0]])
    layer, bottom, top = make_layer("MVN", [x], "mvn_param { across_channels: true eps: 2 }")
    layer.forward(bottom, top)
    top[0].diff[...] = dy.reshape(top[0].shape)
    layer.backward(top, [True], bottom)
    divisor = np.sqrt(14 / 3) + 2
    y = x / divisor
    dx = (dy - dy.mean() - y * (dy * y).mean()) / divisor
    np.testing.assert_allclose(bottom[0].diff, dx)


def test_mvn_in_place_needs_4_axes():
    for shape, fits in (((2, 3, 4), False), ((2, 3, 4, 5), True)):
        layer, _, _ = make_layer("MVN", [shape])
        assert layer.in_place == fits


def test_words_of_other_forks_for_bn_are_not_taken_for_psp_nets():
    x = np.ones((2, 3, 4), np.float32)
    layer, _, _ = make_layer("BN", [x], "bn_param { moving_average: false }")
    assert len(layer.blobs) == 2  # it keeps no averages
    for decay in ("", "decay: 0.95", "decay: 0"):
        with pytest.raises(NetError, match="what is kept of the averages: write 1 minus it"):
            make_layer("BN", [x], f"bn_param {{ scale_filler {{}} moving_average: true {decay} }}")


def test_psp_nets_first_words_for_bn_mean_what_its_later_ones_do():
    """Decay is what is taken of a batch, momentum what is kept of the averages."""
    x = np.random.default_rng(0).standard_normal((4, 3, 5)).astype(np.float32)
    found = []
    for options in (
        "scale_filler { value: 2 } shift_filler { value: 1 } moving_average: true decay: 0.05 "
        "var_eps: 0.001",
        "slope_filler { value: 2 } bias_filler { value: 1 } momentum: 0.95 eps: 0.001",
    ):
        made = make_layer("BN", [x], f"bn_param {{ {options} }}")
        layer, bottom, top = made
        layer.forward(bottom, top)
        trained = top[0].data.copy()
        layer.phase = TEST
        layer.forward(bottom, top)
        found.append([trained, top[0].data.copy(), *(blob.data.copy() for blob in layer.blobs)])
    assert len(found[0]) == 2 + 4
    for first, later in zip(*found, strict=True):
        np.testing.assert_allclose(first, later, rtol=1e-6)
