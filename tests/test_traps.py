"""What is easily got wrong about Caffe: a test, worked out by hand, for each such trap."""

import logging
import math
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from PIL import Image

import caffelite
from caffelite.cli import main
from caffelite.data.datum import from_pixels
from caffelite.data.lmdb import LmdbWriter
from caffelite.proto import caffe_pb2
from caffelite.testing import TEST, TRAIN, make_layer

LOSS = """
layer { name: "d" type: "DummyData" top: "x" top: "t" dummy_data_param {
  shape { dim: 1 dim: 1 } data_filler { value: 1 } data_filler { } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y"
  inner_product_param { num_output: 1 bias_term: false weight_filler { value: 4 } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }
"""  # the gradient of the weight w is w itself
SOLVER = 'base_lr: 0.5 lr_policy: "fixed" max_iter: 3 random_seed: 1 snapshot_prefix: "s" '


def net(text, phase=TRAIN):
    return caffelite.Net(text_format.Parse(text, caffe_pb2.NetParameter()), phase)


def solver(options, text=LOSS):
    param = text_format.Parse(SOLVER, caffe_pb2.SolverParameter())
    text_format.Merge(options, param)
    text_format.Parse(text, param.net_param)
    return caffelite.get_solver(param)


def forward(type, bottoms, options="", blobs=(), **how):
    """The tops of a layer given arrays for its bottoms and its first blobs."""
    layer, bottom, top = make_layer(type, bottoms, options, **how)
    for blob, values in zip(layer.blobs, blobs, strict=False):
        blob.assign(np.asarray(values))
    layer.forward(bottom, top)
    return [t.data for t in top]


def blob_shapes(type, shapes, options):
    return [b.shape for b in make_layer(type, shapes, options)[0].blobs]


# 1: outputs of a net


OUTPUTS = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 } } }
layer { name: "z" type: "Power" bottom: "x" top: "z" }
layer { name: "B" type: "Power" bottom: "x" top: "B" }
layer { name: "a" type: "Power" bottom: "x" top: "a" }
"""


def test_outputs_are_sorted_by_name_not_by_place():
    assert net(OUTPUTS).outputs == ["B", "a", "z"]


def test_numbers_of_outputs_in_the_log_count_elements_not_blobs(tmp_path, caplog, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.getLogger("caffelite"), "propagate", True)  # commands turn it off
    caplog.set_level("INFO", "caffelite")
    more = """
    layer { name: "a" type: "DummyData" top: "a" dummy_data_param { shape { dim: 3 } } }
    """
    solver("display: 1 max_iter: 1 snapshot_after_train: false", LOSS + more).step(1)
    shown = [m.split(" = ")[0] for m in caplog.messages if "Train net output" in m]
    names = ["a", "a", "a", "loss"]
    assert shown == [f"    Train net output #{i}: {name}" for i, name in enumerate(names)]


# 2: splits


def test_a_split_is_named_after_the_last_layer_that_writes_in_place():
    text = """
    layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 } } }
    layer { name: "relu" type: "ReLU" bottom: "x" top: "x" }
    layer { name: "a" type: "Power" bottom: "x" top: "a" }
    layer { name: "b" type: "Power" bottom: "x" top: "b" }
    """
    assert "x_relu_0_split" in net(text).layer_dict


def test_a_written_loss_weight_moves_to_the_first_top_of_the_split():
    text = LOSS.replace('top: "loss" }', 'top: "loss" loss_weight: 3 }')
    text += 'layer { name: "more" type: "Power" bottom: "loss" top: "more" }'
    built = net(text)
    assert built.outputs == ["loss_loss_0_split_0", "more"]
    assert built.bottom_names["more"] == ["loss_loss_0_split_1"]
    built.forward()
    built.backward()
    assert built.blobs["loss_loss_0_split_0"].diff == 3
    assert built.blobs["loss"].diff == 3
    assert built.params["ip"][0].diff == 3 * 4


# 3: sizes of windows' maps


@pytest.mark.parametrize("size, kernel, outputs", [(2, 3, 1), (5, 2, 2)])
def test_sizes_of_convolution_are_divided_toward_zero(size, kernel, outputs):
    options = f"convolution_param {{ num_output: 1 kernel_size: {kernel} stride: 2 }}"
    _, _, (top,) = make_layer("Convolution", [(1, 1, size, size)], options)
    assert top.shape == (1, 1, outputs, outputs)


@pytest.mark.parametrize(
    "options, outputs",
    [
        ("kernel_size: 2 stride: 2", (3, 3)),  # rounded up
        ("kernel_size: 2 stride: 2 round_mode: FLOOR", (2, 2)),
        (
            "kernel_size: 2 stride: 4 pad: 1",
            (2, 2),
        ),  # ceil(5 / 4) + 1, less a window that starts at 7
        ("kernel_h: 2 kernel_w: 1 stride: 5 pad_h: 1 pad_w: 0", (2, 1)),
    ],
)
def test_pooling_rounds_up_and_drops_a_window_only_when_padded(options, outputs):
    _, _, (top,) = make_layer("Pooling", [(1, 1, 5, 5)], f"pooling_param {{ {options} }}")
    assert top.shape == (1, 1, *outputs)


# 4: means of windows


def test_the_mean_of_a_window_counts_its_padding_but_nothing_beyond():
    x = np.ones((1, 1, 4, 4))
    options = "pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }"
    (y,) = forward("Pooling", [x], options)
    rows = np.array([2 / 3, 1, 1 / 2])  # rows -1 to 1, 1 to 3, and 3 to 4 of 5
    np.testing.assert_allclose(y[0, 0], np.outer(rows, rows))


# 5: normalization


def test_batch_norm_keeps_sums_with_their_factor_and_the_unbiased_variance():
    x = np.array([[1.0], [2], [6]])  # mean 3, biased variance 14 / 3, unbiased 7
    layer, bottom, top = make_layer("BatchNorm", [x], "batch_norm_param { eps: 1 }")
    fraction = np.float32(0.999)
    for sums in (1, 1 + fraction):
        layer.forward(bottom, top)
        mean, variance, factor = (b.data for b in layer.blobs)
        np.testing.assert_allclose([mean, variance], [[3 * sums], [7 * sums]])
        np.testing.assert_allclose(factor, sums)
    np.testing.assert_allclose(top[0].data, (x - 3) / math.sqrt(14 / 3 + 1))


def test_batch_norm_divides_stored_sums_by_their_factor():
    options = "batch_norm_param { eps: 1 }"
    (y,) = forward("BatchNorm", [np.full((1, 1), 7.0)], options, ([4], [6], [2]), phase=TEST)
    assert y == (7 - 2) / 2


def test_mvn_adds_eps_outside_of_the_root():
    x = np.array([-2.0, 2, -2, 2]).reshape(1, 1, 2, 2)
    (y,) = forward("MVN", [x], "mvn_param { eps: 2 }")
    np.testing.assert_array_equal(y, x / (2 + 2))


# 6: ties


def test_accuracy_counts_a_tie_as_an_error():
    assert forward("Accuracy", [np.ones((1, 2)), np.array([0])])[0] == 0
    assert forward("Accuracy", [np.ones((1, 2)), np.array([1])])[0] == 0


def test_argmax_takes_the_last_of_a_tie():
    x = np.array([[5.0, 1, 5, 2]])
    assert forward("ArgMax", [x])[0] == 2
    (y,) = forward("ArgMax", [x], "argmax_param { top_k: 2 }")
    assert y.ravel().tolist() == [2, 0]


def test_the_maximum_of_equals_is_bottom_1():
    layer, bottom, top = make_layer("Eltwise", [np.ones(1)] * 3, "eltwise_param { operation: MAX }")
    layer.forward(bottom, top)
    top[0].diff[...] = 1
    layer.backward(top, [True] * 3, bottom)
    assert [b.diff.item() for b in bottom] == [0, 1, 0]


# 7: what losses are divided by


def loss(type, bottoms, options=""):
    return forward(type, bottoms, options)[0].item()


def test_softmax_loss_is_a_mean_over_the_labels_that_count():
    x, labels = np.zeros((3, 2)), np.array([0, 9, 1])
    per_label = math.log(2)
    ignore = "loss_param { ignore_label: 9 }"
    assert loss("SoftmaxWithLoss", [x, labels], ignore) == pytest.approx(per_label)
    whole = "loss_param { ignore_label: 9 normalization: FULL }"
    assert loss("SoftmaxWithLoss", [x, labels], whole) == pytest.approx(per_label * 2 / 3)


def test_a_loss_without_labels_is_divided_by_one_not_zero():
    x, labels = np.zeros((2, 2)), np.array([9, 9])
    assert loss("SoftmaxWithLoss", [x, labels], "loss_param { ignore_label: 9 }") == 0


def test_sigmoid_loss_is_a_sum_over_values_and_a_mean_over_samples():
    got = loss("SigmoidCrossEntropyLoss", [np.zeros((2, 3)), np.zeros((2, 3))])
    assert got == pytest.approx(3 * math.log(2))


def test_euclidean_loss_is_divided_by_twice_the_samples():
    assert loss("EuclideanLoss", [np.full((2, 3), 2.0), np.zeros((2, 3))]) == 6 * 4 / (2 * 2)


# 8: fillers


@pytest.mark.parametrize(
    "type, options, first",
    [
        ("Convolution", "convolution_param { num_output: 2 kernel_size: 1 }", 0),
        ("Deconvolution", "convolution_param { num_output: 2 kernel_size: 1 }", 0),
        ("InnerProduct", "inner_product_param { num_output: 2 }", 0),
        ("Scale", "scale_param { bias_term: true }", 1),
        ("PReLU", "", 0.25),
    ],
)
def test_blobs_without_fillers_are_zero_but_scales_and_slopes(type, options, first):
    blobs = make_layer(type, [(1, 3, 2, 2)], options)[0].blobs
    assert (blobs[0].data == first).all()
    assert all((b.data == 0).all() for b in blobs[1:])


# 9: LRN


@pytest.mark.parametrize(
    "region, s", [("ACROSS_CHANNELS", 5 + 2 / 3), ("WITHIN_CHANNEL", 1 + 2 / 9)]
)
def test_lrn_divides_alpha_by_the_window_and_has_k_across_channels_only(region, s):
    x = np.ones((1, 1, 1, 1))  # one value of the window is not padding
    options = f"lrn_param {{ local_size: 3 alpha: 2 beta: 1 k: 5 norm_region: {region} }}"
    np.testing.assert_allclose(forward("LRN", [x], options)[0], x / s)


# 10: weights stored from inputs to outputs


def test_deconvolution_weights_start_with_the_input_channels():
    options = "convolution_param { num_output: 4 kernel_size: 1 group: 2 bias_term: false }"
    assert blob_shapes("Deconvolution", [(1, 6, 2, 2)], options) == [(6, 2, 1, 1)]
    assert blob_shapes("Convolution", [(1, 6, 2, 2)], options) == [(4, 3, 1, 1)]


def test_embed_and_transposed_inner_product_weights_start_with_the_inputs():
    assert blob_shapes("Embed", [(2,)], "embed_param { input_dim: 5 num_output: 3 }")[0] == (5, 3)
    plain = "inner_product_param { num_output: 3 }"
    assert blob_shapes("InnerProduct", [(2, 5)], plain)[0] == (3, 5)
    transposed = "inner_product_param { num_output: 3 transpose: true }"
    assert blob_shapes("InnerProduct", [(2, 5)], transposed)[0] == (5, 3)


# 11: LSTM


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_lstm_gates_come_as_input_forget_output_candidate():
    gates = np.array([0.1, 0.2, 0.3, 0.4])
    i, f, o = map(sigmoid, gates[:3])
    x, cont = np.zeros((2, 1, 1)), np.array([[0], [1]])
    options = "recurrent_param { num_output: 1 }"
    (y,) = forward("LSTM", [x, cont], options, (np.zeros((4, 1)), gates))
    c = i * math.tanh(0.4)
    expected = [o * math.tanh(c), o * math.tanh(f * c + c)]
    np.testing.assert_allclose(y.ravel(), expected)


def test_lstm_blobs_are_input_bias_static_hidden():
    shapes = blob_shapes("LSTM", [(2, 1, 3), (2, 1), (1, 5)], "recurrent_param { num_output: 2 }")
    assert shapes == [(8, 3), (8,), (8, 5), (8, 2)]


def test_lstm_state_survives_from_one_forward_to_the_next():
    options = "recurrent_param { num_output: 1 }"
    layer, bottom, top = make_layer("LSTM", [np.zeros((1, 1, 1)), np.ones((1, 1))], options)
    layer.blobs[1].data[...] = 1
    passes = []
    for cont in (1, 1, 0):
        bottom[1].data[...] = cont
        layer.forward(bottom, top)
        passes.append(top[0].data.item())
    assert passes[1] > passes[0] == passes[2]


# 12: order of an update


def test_gradients_are_clipped_before_they_are_averaged_and_decayed():
    made = solver("clip_gradients: 2 iter_size: 2 weight_decay: 0.1")
    weight = made.net.params["ip"][0]
    made.step(1)
    gradient = 2 / 2 + 0.1 * 4  # 4 + 4 clipped to 2, over 2 passes, and decay
    np.testing.assert_allclose(weight.data, 4 - 0.5 * gradient, rtol=1e-6)


# 13: rates


# Rate 1, then 0.1; momentum 0.5: the history is 1, then 0.1 + 0.5 * 1
@pytest.mark.parametrize("type, moved", [("SGD", [1, 0.6]), ("Nesterov", [1.5, 1.5 * 0.6 - 0.5])])
def test_a_new_rate_does_not_touch_what_the_history_holds(type, moved):
    options = f'type: "{type}" base_lr: 1 momentum: 0.5 lr_policy: "step" gamma: 0.1 stepsize: 1'
    made = solver(options)
    weight = made.net.params["ip"][0]
    for step in moved:
        before = weight.data.item()
        weight.diff[...] = 1
        made.apply_update()
        assert before - weight.data.item() == pytest.approx(step)


def test_multistep_takes_one_step_each_time_it_is_asked():
    made = solver('lr_policy: "multistep" gamma: 0.5 stepvalue: 1 stepvalue: 2')
    made.iter = 5
    assert [made.lr for _ in range(3)] == [0.25, 0.125, 0.125]


# 14: transformations


def write_datum(folder, image):
    with LmdbWriter(folder / "db") as database:
        database.put(b"0", from_pixels(image, 0).SerializeToString())


def batch(folder, options, data=""):
    options = (
        f"data_param {{ source: '{folder}/db' batch_size: 40 backend: LMDB {data} }} {options}"
    )
    layer, bottom, top = make_layer("Data", [], options, TEST, tops=2)
    layer.forward(bottom, top)
    layer.close()
    return top[0].data


def test_mirror_acts_in_test_too(tmp_path):
    write_datum(tmp_path, np.array([[[1, 2]]], np.uint8))
    data = batch(tmp_path, "transform_param { mirror: true }")
    assert {tuple(sample.ravel()) for sample in data} == {(1, 2), (2, 1)}


def test_old_transform_fields_of_a_data_layer_do_nothing(tmp_path):
    image = np.array([[[1, 2], [3, 4]]], np.uint8)
    write_datum(tmp_path, image)
    data = batch(tmp_path, "", data="scale: 9 crop_size: 1 mirror: true")
    assert (data == image).all()


def test_windows_are_scaled_by_window_data_param_alone(tmp_path):
    Image.fromarray(np.full((4, 4, 3), 10, np.uint8)).save(tmp_path / "0.png")
    windows = f"# 0\n{tmp_path}/0.png\n3 4 4\n2\n1 0.9 0 0 3 3\n0 0.1 0 0 3 3\n"
    (tmp_path / "windows").write_text(windows)
    options = f"source: '{tmp_path}/windows' batch_size: 2 fg_fraction: 0.5 scale: 3"
    options = f"window_data_param {{ {options} }} transform_param {{ crop_size: 4 scale: 100 }}"
    layer, bottom, top = make_layer("WindowData", [], options, tops=2)
    layer.forward(bottom, top)
    layer.close()
    assert (top[0].data == 3 * 10).all()


# 15: shapes of old files


def load(legacy, values):
    """The weights of LOSS's net and of a bias, with "ip" from a file in the old form."""
    text = LOSS.replace("num_output: 1 bias_term: false", "num_output: 2").replace(
        "shape { dim: 1 dim: 1 }", "shape { dim: 1 dim: 3 } shape { dim: 1 dim: 2 }"
    )
    source = caffe_pb2.NetParameter()
    layer = source.layer.add(name="ip")
    for (num, channels, height, width), data in zip(legacy, values, strict=True):
        layer.blobs.add(num=num, channels=channels, height=height, width=width, data=data)
    Path("old.caffemodel").write_bytes(source.SerializeToString())
    built = net(text)
    built.copy_from("old.caffemodel")
    return [b.data for b in built.params["ip"]]


def test_old_shapes_are_matched_from_the_right(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    weight, bias = load([(1, 1, 2, 3), (1, 1, 1, 2)], [range(6), [7, 8]])
    np.testing.assert_array_equal(weight, np.arange(6).reshape(2, 3))
    np.testing.assert_array_equal(bias, [7, 8])
    with pytest.raises(caffelite.errors.CaffeliteError, match="ip"):
        load([(2, 3, 1, 1), (2, 1, 1, 1)], [range(6), [7, 8]])


# 16: the last snapshot, and two ways to start


def test_a_run_ends_with_a_snapshot_nobody_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    solver("").solve()
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "s_iter_3.caffemodel",
        "s_iter_3.solverstate",
    ]


def test_a_snapshot_and_weights_together_are_a_mistake(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("solver.prototxt").write_text(SOLVER + f"net_param {{ {LOSS} }}")
    words = ["-solver=solver.prototxt", "-snapshot=s.solverstate", "-weights=s.caffemodel"]
    assert main(["train", *words]) == 2
    assert "snapshot" in capsys.readouterr().err
