"""Recurrent layers: the state between batches, and other people's implementations."""

import re

import numpy as np
import pytest
from google.protobuf import text_format

import caffelite
from caffelite.layers.recurrent.lstm import LSTM
from caffelite.proto import caffe_pb2
from caffelite.testing import make_layer

T, N, D, H = 5, 3, 4, 6
TYPES = ["RNN", "LSTM", "GRU"]


def field(type):
    return "gru_param" if type == "GRU" else "recurrent_param"


def layer_of(type, x, cont, options="", more=(), dtype=np.float64, units=H):
    """The layer set up on these arrays, its blobs drawn from N(0, 0.3)."""
    text = f"{field(type)} {{ num_output: {units} {options} }}"
    layer, bottom, top = make_layer(type, [x, cont, *more], text, dtype=dtype)
    generator = np.random.default_rng(8)
    for blob in layer.blobs:
        blob.assign(0.3 * generator.standard_normal(blob.shape))
    return layer, bottom, top


def sequence(steps, seed=0, streams=N):
    return np.random.default_rng(seed).standard_normal((steps, streams, D))


@pytest.mark.parametrize("type", TYPES)
def test_a_sequence_may_span_batches(type):
    x, cont = sequence(2 * T), np.ones((2 * T, N))
    cont[[1, 6, 7], [2, 0, 1]] = 0
    whole, bottom, top = layer_of(type, x, cont)
    whole.forward(bottom, top)
    parts, bottom, part = layer_of(type, x[:T], cont[:T])
    parts.forward(bottom, part)
    np.testing.assert_allclose(part[0].data, top[0].data[:T], 1e-12)
    bottom[0].data[...], bottom[1].data[...] = x[T:], cont[T:]
    parts.forward(bottom, part)
    np.testing.assert_allclose(part[0].data, top[0].data[T:], 1e-12)


@pytest.mark.parametrize("type", TYPES)
def test_exposed_states_carry_on_as_hidden_ones_do(type):
    x, cont, states = sequence(2 * T), np.ones((2 * T, N)), 2 if type == "LSTM" else 1
    whole, bottom, top = layer_of(type, x, cont)
    whole.forward(bottom, top)
    zeros = [np.zeros((1, N, H))] * states
    parts, bottom, part = layer_of(type, x[:T], cont[:T], "expose_hidden: true", zeros)
    parts.forward(bottom, part)
    for blob, state in zip(bottom[2:], part[1:], strict=True):
        blob.data[...] = state.data
    bottom[0].data[...] = x[T:]
    parts.forward(bottom, part)
    np.testing.assert_allclose(part[0].data, top[0].data[T:], 1e-12)


@pytest.mark.parametrize("type", TYPES)
def test_gradients_of_last_states_are_ignored_and_first_states_get_none(type):
    x, cont, states = sequence(T), np.ones((T, N)), 2 if type == "LSTM" else 1
    first = [np.ones((1, N, H))] * states
    layer, bottom, top = layer_of(type, x, cont, "expose_hidden: true", first)
    layer.forward(bottom, top)
    for blob in top[1:]:
        blob.diff[...] = 5
    layer.backward(top, [True, False] + [True] * states, bottom)
    assert (bottom[0].diff == 0).all()
    assert not any(blob.diff_allocated for blob in bottom[2:])


@pytest.mark.parametrize("type", TYPES)
def test_the_first_streams_keep_their_state_when_streams_drop_out(type):
    x, cont = sequence(T), np.ones((T, N))
    layer, bottom, top = layer_of(type, x, cont)
    layer.forward(bottom, top)
    layer.forward(bottom, top)
    expected = top[0].data[:, :2].copy()
    layer, bottom, top = layer_of(type, x, cont)
    layer.forward(bottom, top)
    bottom[0].reshape(T, 2, D)
    bottom[1].reshape(T, 2)
    layer.reshape(bottom, top)
    bottom[0].data[...], bottom[1].data[...] = x[:, :2], 1
    layer.forward(bottom, top)
    np.testing.assert_allclose(top[0].data, expected, 1e-12)


@pytest.mark.parametrize(
    "type, shapes, message",
    [
        ("LSTM", [(T + 1, N, D), (T + 1, N), (N, 2)], "expected 5 steps"),
        ("LSTM", [(T, N, D + 1), (T, N), (N, 2)], "expected 4 values from axis 2 on"),
        ("LSTM", [(T, N, D), (T, N), (N, 3)], "expected 2 values from axis 1 on"),
        ("Lstm", [(T, D + 1)], "expected 4 values from axis 1 on"),
    ],
)
def test_steps_and_sizes_may_not_change(type, shapes, message):
    if type == "Lstm":
        layer, bottom, top = make_layer("Lstm", [(T, D)], "lstm_param { num_output: 6 }")
    else:
        layer, bottom, top = layer_of(type, sequence(T), np.ones((T, N)), more=[np.ones((N, 2))])
    for blob, shape in zip(bottom, shapes, strict=True):
        blob.reshape(*shape)
    with pytest.raises(RuntimeError, match=message):
        layer.reshape(bottom, top)


def test_blobs_and_multiply_adds_of_a_large_lstm():
    """The activity recognition net of LRCN: 256 units on 4096 features, 4,457,472 parameters."""
    layer, bottom, top = make_layer(
        "LSTM", [(16, 24, 4096), (16, 24)], "recurrent_param { num_output: 256 }"
    )
    assert sum(blob.count for blob in layer.blobs) == 4_457_472
    macs = layer.macs([b.shape for b in bottom], [t.shape for t in top])
    assert macs == 16 * 24 * 4 * 256 * (4096 + 256)


@pytest.mark.parametrize("type, options", [("RNN", ""), ("LSTM", ""), ("GRU", "reset_after: true")])
def test_one_filler_is_for_all_weights_and_one_for_all_biases(type, options):
    options += " num_output: 2 weight_filler { value: 3 } bias_filler { value: 4 }"
    shapes = [(5, 2, 3), (5, 2), (2, 6)]
    layer, _, _ = make_layer(type, shapes, f"{field(type)} {{ {options} }}")
    assert {len(blob.shape) for blob in layer.blobs} == {1, 2}
    for blob in layer.blobs:
        assert (blob.data == {1: 4, 2: 3}[len(blob.shape)]).all()


@pytest.mark.parametrize("type", TYPES)
def test_states_are_bottoms_and_tops_only_if_exposed(type):
    states = 2 if type == "LSTM" else 1
    x = """layer { name: "x" type: "DummyData" top: "x" top: "c"
        dummy_data_param { shape { dim: 5 dim: 2 dim: 3 } shape { dim: 5 dim: 2 } } }"""
    for more, options, message in (
        ("", "expose_hidden: true", f"has 2 bottoms, expected {2 + states} to {3 + states}"),
        ('bottom: "x" bottom: "x"', "", "has 4 bottoms, expected 2 to 3"),
        ('top: "last"', "", "has 2 tops, expected 1"),
    ):
        text = f"""{x} layer {{ name: "h" type: "{type}" bottom: "x" bottom: "c" top: "h" {more}
            {field(type)} {{ num_output: 4 {options} }} }}"""
        with pytest.raises(RuntimeError, match=message):
            caffelite.Net(text_format.Parse(text, caffe_pb2.NetParameter()), caffelite.TRAIN)


def test_a_forget_gate_has_the_slope_of_its_product_with_cont():
    """As in Caffe: f' (1 - f') with f' = cont * sigmoid, which matters between 0 and 1 alone."""
    c, gates = np.full((1, 1, 1), 2.0), np.zeros((1, 1, 4))
    unit, bottom, top = make_layer("LSTMUnit", [c, gates, np.full((1, 1), 0.5)])
    unit.forward(bottom, top)
    top[0].diff[...] = 1
    unit.backward(top, [True, True, False], bottom)
    assert bottom[1].diff[0, 0, 1] == 2 * 0.25 * (1 - 0.25)


def test_a_unit_per_step_is_an_lstm():
    x, cont = sequence(T), (np.random.default_rng(1).random((T, N)) < 0.6).astype(float)
    layer, bottom, top = layer_of("LSTM", x, cont)
    layer.forward(bottom, top)
    w, b, u = (blob.data for blob in layer.blobs)
    c, h = np.zeros((2, 1, N, H))
    for t in range(T):
        sums = x[t : t + 1] @ w.T + b + (cont[t][:, None] * h) @ u.T
        unit, below, above = make_layer("LSTMUnit", [c, sums, cont[t : t + 1]])
        unit.forward(below, above)
        c, h = (blob.data for blob in above)
        np.testing.assert_allclose(h[0], top[0].data[t], 1e-12)


@pytest.mark.parametrize("parts", [0, 1, 2])
def test_steps_at_once_and_one_by_one_are_the_same(parts, monkeypatch):
    """Streams that threads share out, each for all steps, against a step of all after the other."""
    x, cont = sequence(T, streams=4), np.ones((T, 4))
    cont[[0, 2], [1, 3]] = 0
    results = []
    for way in (0, parts):
        monkeypatch.setattr(LSTM, "_parts", lambda self, way=way: way)
        layer, bottom, top = layer_of("LSTM", x, cont, "peephole: true")
        for _ in range(2):
            layer.forward(bottom, top)
        top[0].diff[...] = x @ np.ones((D, H))
        layer.backward(top, [True, False], bottom)
        diffs = [blob.diff for blob in (*layer.blobs, bottom[0])]
        results.append([top[0].data, *(blob.data for blob in layer.carried), *diffs])
    for whole, each in zip(*results, strict=True):
        np.testing.assert_allclose(whole, each, 1e-12)


# Lstm: an LSTM over the rows of a matrix


def lstm_of_rows(x, clip=None, options=""):
    """An Lstm with the blobs that `layer_of` gives an LSTM, which has them in another order."""
    bottoms = [x.reshape(-1, D)] if clip is None else [x.reshape(-1, D), clip.ravel()]
    text = f"lstm_param {{ num_output: {H} batch_size: {N} {options} }}"
    layer, bottom, top = make_layer("Lstm", bottoms, text)
    w, b, u = (blob.data for blob in layer_of("LSTM", x, np.ones(x.shape[:2]))[0].blobs)
    for blob, values in zip(layer.blobs, (w, u, b), strict=True):
        blob.assign(values)
    return layer, bottom, top


@pytest.mark.parametrize("with_clip", [False, True])
def test_an_lstm_over_rows_is_an_lstm(with_clip):
    x, cont = sequence(T), np.ones((T, N))
    cont[2, 1] = with_clip is False
    cont[0] = with_clip
    whole, bottom, top = layer_of("LSTM", x, cont)
    rows, row_bottom, row_top = lstm_of_rows(x, 7 * cont if with_clip else None)
    for _ in range(2):  # the second time, from the state that the first one left
        for layer, below, above in ((whole, bottom, top), (rows, row_bottom, row_top)):
            layer.forward(below, above)
            above[0].diff.ravel()[...] = np.arange(T * N * H)
            layer.backward(above, [True, False], below)
        np.testing.assert_allclose(row_top[0].data, top[0].data.reshape(-1, H), 1e-12)
        np.testing.assert_allclose(row_bottom[0].diff, bottom[0].diff.reshape(-1, D), 1e-9, 1e-9)
        w, b, u = (blob.diff for blob in whole.blobs)
        for blob, diff in zip(rows.blobs, (w, u, b), strict=True):
            np.testing.assert_allclose(blob.diff, diff, 1e-9, 1e-9)


def test_an_lstm_over_rows_bounds_gradients_at_the_sums_of_its_gates():
    shown = []
    for limit in (0, 0.125):
        options = f"lstm_param {{ num_output: 1 clipping_threshold: {limit} }}"
        layer, bottom, top = make_layer("Lstm", [np.zeros((3, 4))], options)
        layer.blobs[0].assign(np.eye(4))  # so that x gets the gradients of the sums
        layer.blobs[1].assign([1, -2, 3, 1])
        layer.blobs[2].assign([1, 2, 1, 1])
        layer.forward(bottom, top)
        top[0].diff[...] = [[0], [0], [20]]
        layer.backward(top, [True], bottom)
        shown.append(bottom[0].diff.copy())
    free, bound = shown
    assert abs(free).max() > 0.5 and abs(bound).max() == 0.125
    np.testing.assert_allclose(bound[2], np.clip(free[2], -0.125, 0.125))
    assert not np.allclose(bound[1], np.clip(free[1], -0.125, 0.125))  # it got the bounded ones


# ONNX Runtime, which has peepholes, coupled gates and both GRUs


def onnx_outputs(type, x, blobs, **attributes):
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    tensors = {name: np.asarray(a, np.float32)[None] for name, a in blobs.items()}
    node = onnx.helper.make_node(
        type, ["x", "W", "R", "B", "", "", "", "P"][: 8 if "P" in blobs else 4], ["y"],
        hidden_size=H, **attributes,
    )  # fmt: skip
    graph = onnx.helper.make_graph(
        [node],
        "recurrent",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, x.shape)],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(a, name) for name, a in tensors.items()],
    )
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 14)], ir_version=8
    )
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": x.astype(np.float32)})[0][:, 0]


def onnx_rows(rows, order):
    """Our gate rows in ONNX's order."""
    parts = np.split(rows, len(order))
    return np.concatenate([parts[k] for k in order])


@pytest.mark.parametrize("coupled", [False, True])
@pytest.mark.parametrize("peephole", [False, True])
def test_onnxruntime_agrees_on_lstm(peephole, coupled):
    x = sequence(T)
    options = f"peephole: {str(peephole).lower()} coupled: {str(coupled).lower()}"
    layer, bottom, top = layer_of("LSTM", x, np.ones((T, N)), options)
    layer.forward(bottom, top)
    w, b, u, *p = (blob.data for blob in layer.blobs)
    if coupled:  # ONNX has f = 1 - i: i is the sigmoid of minus the sum of our f
        w, b, u = (np.concatenate([-a[:H], 0 * a[:H], a[H:]]) for a in (w, b, u))
        p = [np.stack([-a[0], 0 * a[0], a[1]]) for a in p]
    i, f, o, g = range(4)
    w, b, u = (onnx_rows(a, [i, o, f, g]) for a in (w, b, u))
    blobs = {"W": w, "R": u, "B": np.concatenate([b, 0 * b])}
    if peephole:
        blobs["P"] = p[0][[0, 2, 1]].ravel()
    expected = onnx_outputs("LSTM", x, blobs, input_forget=int(coupled))
    np.testing.assert_allclose(top[0].data, expected, 1e-4, 1e-6)


@pytest.mark.parametrize("reset_after", [False, True])
def test_onnxruntime_agrees_on_gru(reset_after):
    x = sequence(T)
    options = f"reset_after: {str(reset_after).lower()}"
    layer, bottom, top = layer_of("GRU", x, np.ones((T, N)), options)
    layer.forward(bottom, top)
    w, b, u, *c = (blob.data for blob in layer.blobs)
    r, z, n = range(3)
    w, b, u = (onnx_rows(a, [z, r, n]) for a in (w, b, u))
    hidden_bias = np.zeros(3 * H)
    if reset_after:
        hidden_bias[2 * H :] = c[0]
    blobs = {"W": w, "R": u, "B": np.concatenate([b, hidden_bias])}
    expected = onnx_outputs("GRU", x, blobs, linear_before_reset=int(reset_after))
    np.testing.assert_allclose(top[0].data, expected, 1e-4, 1e-6)


# The formulas of the deck on intelligent computing systems


def recurrent_net(layers, steps=T, streams=N, phase=caffelite.TEST, seed=3):
    """A float64 net of these layers over "x" and "cont"."""
    inputs = f"""
        layer {{ name: "in" type: "Input" top: "x" top: "cont" input_param {{
            shape {{ dim: {steps} dim: {streams} dim: {D} }}
            shape {{ dim: {steps} dim: {streams} }} }} }}"""
    param = text_format.Parse(inputs + layers, caffe_pb2.NetParameter())
    return caffelite.Net(param, phase, seed=seed, dtype=np.float64)


CLASSES = 3
DECK_NET = """
    layer { name: "h" type: "RNN" bottom: "x" bottom: "cont" top: "h" recurrent_param {
        num_output: 6 output_hidden: true hidden_activation: %s
        weight_filler { type: "gaussian" std: 0.5 } bias_filler { type: "gaussian" std: 0.5 } } }
    layer { name: "o" type: "InnerProduct" bottom: "h" top: "o" inner_product_param {
        axis: 2 num_output: 3
        weight_filler { type: "gaussian" std: 0.5 } bias_filler { type: "gaussian" std: 0.5 } } }
"""


def softmax(o):
    e = np.exp(o - o.max())
    return e / e.sum()


@pytest.mark.parametrize("kind, f", [("TANH", np.tanh), ("RELU", lambda a: np.maximum(a, 0))])
def test_the_recurrent_net_of_the_course(kind, f):
    """h = f(W h + U x + b), o = V h + c, y = softmax(o), from h = 0."""
    prob = """layer { name: "y" type: "Softmax" bottom: "o" top: "y" softmax_param { axis: 2 } }"""
    net = recurrent_net(DECK_NET % kind + prob)
    x, cont = sequence(T), np.ones((T, N))
    net.blobs["x"].data[...], net.blobs["cont"].data[...] = x, cont
    net.forward()
    u, b, w = (blob.data for blob in net.params["h"])
    v, c = (blob.data for blob in net.params["o"])
    for n in range(N):
        h = np.zeros(H)
        for t in range(T):
            h = f(w @ h + u @ x[t, n] + b)
            o = v @ h + c
            np.testing.assert_allclose(net.blobs["h"].data[t, n], h, 1e-12)
            np.testing.assert_allclose(net.blobs["o"].data[t, n], o, 1e-12)
            np.testing.assert_allclose(net.blobs["y"].data[t, n], softmax(o), 1e-12)


def test_backpropagation_through_time_as_in_the_course():
    """dL/dW = sum_t sum_(k <= t) dL_t/dh_t (prod_(i = k+1..t) diag(1 - h_i^2) W) dh_k/dW."""
    loss = """
        layer { name: "label" type: "Input" top: "label" input_param {
            shape { dim: 5 dim: 1 } } }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "o" bottom: "label" top: "loss"
            softmax_param { axis: 2 } loss_param { normalization: NONE } }"""
    net = recurrent_net(DECK_NET % "TANH" + loss, streams=1, phase=caffelite.TRAIN)
    x, labels = sequence(T, streams=1), np.random.default_rng(1).integers(0, CLASSES, T)
    net.blobs["x"].data[...], net.blobs["cont"].data[...] = x, 1
    net.blobs["label"].data[...] = labels[:, None]
    net.clear_param_diffs()
    total = net.forward_backward()
    u, b, w = (blob.data for blob in net.params["h"])
    v, c = (blob.data for blob in net.params["o"])
    h, y = [np.zeros(H)], [None]
    for t in range(T):
        h.append(np.tanh(w @ h[-1] + u @ x[t, 0] + b))
        y.append(softmax(v @ h[-1] + c))
    assert total == pytest.approx(-sum(np.log(y[t + 1][labels[t]]) for t in range(T)))
    dw, du = np.zeros_like(w), np.zeros_like(u)
    for t in range(1, T + 1):
        dh = v.T @ (y[t] - np.eye(CLASSES)[labels[t - 1]])
        for k in range(t, 0, -1):
            dsums = (1 - h[k] ** 2) * dh  # dh is about h_k now
            dw += np.outer(dsums, h[k - 1])
            du += np.outer(dsums, x[k - 1, 0])
            dh = w.T @ dsums
    got_u, _, got_w = (blob.diff for blob in net.params["h"])
    np.testing.assert_allclose(got_w, dw, 1e-9, 1e-12)
    np.testing.assert_allclose(got_u, du, 1e-9, 1e-12)


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def deck_steps(step, x, states):
    """The first of the states that `step` gives, (T, N, H), of each stream on its own."""
    outputs = np.zeros((*x.shape[:2], H))
    for n in range(x.shape[1]):
        now = [np.zeros(H)] * states
        for t in range(len(x)):
            now = step(x[t, n], *now)
            outputs[t, n] = now[0]
    return outputs


def test_the_gated_unit_of_the_course():
    x = sequence(T)
    layer, bottom, top = layer_of("GRU", x, np.ones((T, N)), "update_new: true")
    layer.forward(bottom, top)
    (ur, uz, u), (br, bz, b), (wr, wz, w) = (np.split(blob.data, 3) for blob in layer.blobs)

    def step(x, h):
        z = sigmoid(uz @ x + wz @ h + bz)
        r = sigmoid(ur @ x + wr @ h + br)
        new = np.tanh(u @ x + w @ (r * h) + b)
        return [(1 - z) * h + z * new]

    np.testing.assert_allclose(top[0].data, deck_steps(step, x, 1), 1e-12)


@pytest.mark.parametrize("coupled", [False, True])
def test_the_peepholes_of_the_course(coupled):
    """All gates see c of the step before, through M: ours are the diagonals of these."""
    x = sequence(T)
    options = f"peephole: true peephole_previous: true coupled: {str(coupled).lower()}"
    layer, bottom, top = layer_of("LSTM", x, np.ones((T, N)), options)
    layer.forward(bottom, top)
    rows = 3 if coupled else 4
    *ui, uf, uo, uc = np.split(layer.blobs[0].data, rows)
    *bi, bf, bo, bc = np.split(layer.blobs[1].data, rows)
    *wi, wf, wo, wc = np.split(layer.blobs[2].data, rows)
    *mi, mf, mo = (np.diag(p) for p in layer.blobs[3].data)

    def step(x, h, c):
        f = sigmoid(uf @ x + wf @ h + mf @ c + bf)
        i = 1 - f if coupled else sigmoid(ui[0] @ x + wi[0] @ h + mi[0] @ c + bi[0])
        g = sigmoid(uo @ x + wo @ h + mo @ c + bo)
        c = f * c + i * np.tanh(uc @ x + wc @ h + bc)
        return [g * np.tanh(c), c]

    np.testing.assert_allclose(top[0].data, deck_steps(step, x, 2), 1e-12)


def test_weights_of_either_update_gate_load_and_agree(tmp_path):
    """z -> 1 - z: the rows z of what another net saved change sign."""
    text = """
        layer { name: "static" type: "Input" top: "s" input_param { shape { dim: 3 dim: 2 } } }
        layer { name: "h" type: "GRU" bottom: "x" bottom: "cont" bottom: "s" top: "h" gru_param {
            num_output: 6 reset_after: true update_new: %s
            weight_filler { type: "gaussian" std: 0.5 } bias_filler { type: "gaussian" std: 0.5 }
        } }"""
    generator = np.random.default_rng(0)
    x, static = (generator.standard_normal(shape) for shape in ((T, N, D), (N, 2)))
    cont = np.ones((T, N))
    cont[[0, 2], [1, 0]] = 0

    def output(net):
        for name, values in {"x": x, "cont": cont, "s": static}.items():
            net.blobs[name].data[...] = values
        return net.forward()["h"].copy()

    theirs = recurrent_net(text % "true")
    expected = output(theirs)
    path = str(tmp_path / "update_new.caffemodel")
    theirs.save(path)
    for sign, agrees in ((1, False), (-1, True)):
        ours = recurrent_net(text % "false", seed=4)
        ours.copy_from(path)
        for blob in ours.params["h"][:4]:  # not hidden_bias, which is of n alone
            blob.data[H : 2 * H] *= sign
        assert np.allclose(output(ours), expected, 1e-6) == agrees


# PyTorch's own layers over sequences, from a first state


def torch_weights(module, names):
    return [getattr(module, f"{name}_l0").detach().numpy() for name in names.split()]


def exposed_layer(type, x, h, options):
    return layer_of(type, x, np.ones((T, N)), f"expose_hidden: true {options}", [h])


def agree(layer, bottom, top, module, x, h):
    """Outputs, last states and the gradient of x."""
    torch = pytest.importorskip("torch")
    given = torch.tensor(x, requires_grad=True)
    y, last = module(given, torch.tensor(h))
    dy = np.random.default_rng(2).standard_normal(y.shape)
    y.backward(torch.tensor(dy))
    layer.forward(bottom, top)
    top[0].diff[...] = dy
    layer.backward(top, [True, False, False], bottom)
    np.testing.assert_allclose(top[0].data, y.detach(), 1e-9, 1e-12)
    np.testing.assert_allclose(top[1].data, last.detach(), 1e-9, 1e-12)
    np.testing.assert_allclose(bottom[0].diff, given.grad, 1e-9, 1e-12)


@pytest.mark.parametrize("kind", ["tanh", "relu"])
def test_pytorch_agrees_on_rnn(kind):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = torch.nn.RNN(D, H, nonlinearity=kind, dtype=torch.double)
    x, h = sequence(T), np.random.default_rng(1).standard_normal((1, N, H))
    options = f"output_hidden: true hidden_activation: {kind.upper()}"
    layer, bottom, top = exposed_layer("RNN", x, h, options)
    w, b, c, u = torch_weights(module, "weight_ih bias_ih bias_hh weight_hh")
    for blob, values in zip(layer.blobs, (w, b + c, u), strict=True):
        blob.assign(values)
    agree(layer, bottom, top, module, x, h)


@pytest.mark.parametrize("update_new", [False, True])
def test_pytorch_agrees_on_gru(update_new):
    """h' = (1 - z) n + z h is theirs: with update_new, the rows z change sign."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = torch.nn.GRU(D, H, dtype=torch.double)
    x, h = sequence(T), np.random.default_rng(1).standard_normal((1, N, H))
    options = f"reset_after: true update_new: {str(update_new).lower()}"
    layer, bottom, top = exposed_layer("GRU", x, h, options)
    w, b, c, u = torch_weights(module, "weight_ih bias_ih bias_hh weight_hh")
    early = np.concatenate([c[: 2 * H], np.zeros(H)])
    for blob, values in zip(layer.blobs, (w, b + early, u, c[2 * H :]), strict=True):
        blob.assign(values)
    if update_new:
        for blob in layer.blobs[:3]:
            blob.data[H : 2 * H] *= -1
    agree(layer, bottom, top, module, x, h)


def test_a_net_learns_to_remember():
    """One bit shown at the first step, asked for at the last."""
    net = caffelite.Net(
        text_format.Parse(
            """
        layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 8 dim: 16 dim: 1 } } }
        layer { name: "c" type: "Input" top: "c" input_param { shape { dim: 8 dim: 16 } } }
        layer { name: "label" type: "Input" top: "label"
                input_param { shape { dim: 1 dim: 16 dim: 1 } } }
        layer { name: "lstm" type: "LSTM" bottom: "x" bottom: "c" top: "h" recurrent_param {
                num_output: 8 forget_bias: 1 weight_filler { type: "uniform" min: -.5 max: .5 } } }
        layer { name: "cut" type: "Slice" bottom: "h" top: "early" top: "last"
                slice_param { axis: 0 slice_point: 7 } }
        layer { name: "s" type: "Silence" bottom: "early" }
        layer { name: "ip" type: "InnerProduct" bottom: "last" top: "y" inner_product_param {
                axis: 2 num_output: 1 weight_filler { type: "xavier" } } }
        layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "label" top: "loss" }
        """,
            caffe_pb2.NetParameter(),
        ),
        caffelite.TRAIN,
        seed=3,
    )
    generator = np.random.default_rng(0)
    losses = []
    for _ in range(150):
        bits = generator.integers(0, 2, (1, 16, 1)) * 2.0 - 1
        net.blobs["x"].data[...] = 0.1 * generator.standard_normal((8, 16, 1))
        net.blobs["x"].data[0] = bits[0]
        net.blobs["c"].data[...] = 1
        net.blobs["c"].data[0] = 0
        net.blobs["label"].data[...] = bits
        net.clear_param_diffs()
        losses.append(net.forward_backward())
        for entry in net.learnable:
            entry.blob.data[...] -= 0.05 * entry.blob.diff
    assert losses[0] > 5 and np.mean(losses[-10:]) < 0.5


def test_a_stream_starts_anew_whatever_it_came_to():
    """0 times an infinite state is no number."""
    options = "num_output: 1 hidden_activation: RELU output_hidden: true"
    fill = 'weight_filler { type: "constant" value: 1 }'
    layer, bottom, top = make_layer(
        "RNN", [(3, 1, 1), (3, 1)], f"recurrent_param {{ {options} {fill} }}"
    )
    bottom[0].data[...] = np.array([3e38, 3e38, 1]).reshape(3, 1, 1)
    bottom[1].data[...] = [[0], [1], [0]]
    layer.forward(bottom, top)
    assert top[0].data[2] == 1


@pytest.mark.parametrize("type", TYPES)
def test_a_cont_that_does_not_fit_is_refused(type):
    options = f"{field(type)} {{ num_output: 2 }}"
    for shape, hint in (((N, T), "; a Permute with order: 1 order: 0 turns it"), ((T, N, 1), "")):
        said = f"has shape {shape}, expected {(T, N)}, a number for each step and stream{hint}"
        with pytest.raises(RuntimeError, match=re.escape(said) + "$"):
            make_layer(type, [(T, N, D), shape], options)


@pytest.mark.parametrize("type", TYPES)
def test_a_cont_of_another_number_is_told_once(type, caplog):
    """Caffe multiplies the state by any number; a counter or a label there is a mistake."""
    x, cont = sequence(T), np.ones((T, N))
    cont[0] = 0
    layer, bottom, top = layer_of(type, x, cont)
    layer.forward(bottom, top)
    assert not caplog.records
    bottom[1].data[2, 1] = 3
    for _ in range(2):
        layer.forward(bottom, top)
    (record,) = caplog.records
    assert "holds 3 at [2, 1], expected 0 where a stream begins, else 1" in record.getMessage()


@pytest.mark.parametrize("type", [*TYPES, "Lstm"])
def test_a_first_batch_that_goes_on_from_nothing_is_told(type, caplog):
    """The state is 0 in the first pass; later ones go on from the end of the pass before."""
    x, cont = sequence(T), np.ones((T, N))
    cont[0, 0] = 0
    layer, bottom, top = lstm_of_rows(x, cont) if type == "Lstm" else layer_of(type, x, cont)
    for _ in range(2):
        layer.forward(bottom, top)
    (record,) = caplog.records
    assert f'({type}): bottom[1] "{layer.param.bottom[1]}" is not 0 at step 0 of stream 1' in (
        record.getMessage()
    )


@pytest.mark.parametrize("type", TYPES)
def test_a_batch_that_goes_on_from_a_state_is_not_told(type, caplog):
    """A run that is taken up again, in the midst of streams; states that are bottoms."""
    x, cont, states = sequence(T), np.ones((T, N)), 2 if type == "LSTM" else 1
    layer, bottom, top = layer_of(type, x, cont)
    layer.carried[0].data[...] = 1
    layer.forward(bottom, top)
    layer, bottom, top = layer_of(
        type, x, cont, "expose_hidden: true", [np.zeros((1, N, H))] * states
    )
    layer.forward(bottom, top)
    assert not caplog.records
