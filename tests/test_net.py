"""Net: filtering, splits, wiring, backward planning, sharing, running parts of a net."""

import sys

import numpy as np
import pytest
from google.protobuf import text_format

import caffelite
from caffelite.errors import NetError
from caffelite.net import passes
from caffelite.proto import caffe_pb2


def parse(text):
    return text_format.Parse(text, caffe_pb2.NetParameter())


def layer(name, type_name, bottoms="", tops="", more=""):
    bottom = " ".join(f'bottom: "{b}"' for b in bottoms.split())
    top = " ".join(f'top: "{t}"' for t in tops.split())
    return f'layer {{ name: "{name}" type: "{type_name}" {bottom} {top} {more} }}\n'


def data(name, *dims):
    shape = " ".join(f"dim: {d}" for d in dims)
    return layer(name, "Input", "", name, f"input_param {{ shape {{ {shape} }} }}")


def ip(name, bottom, top, num_output=3, more=""):
    filler = 'weight_filler { type: "gaussian" std: 0.5 }'
    options = f"inner_product_param {{ num_output: {num_output} {filler} }}"
    return layer(name, "InnerProduct", bottom, top, f"{options} {more}")


def batch_norm(name, bottom, top, more=""):
    return layer(name, "BatchNorm", bottom, top, more)


SOURCES = "Data", "DummyData", "HDF5Data", "ImageData", "Input", "MemoryData", "WindowData"


@pytest.fixture(autouse=True)
def seeded():
    caffelite.set_random_seed(1)


def build(text, phase=caffelite.TRAIN, **more):
    return caffelite.Net(parse(text), phase, **more)


# Filtering


@pytest.mark.parametrize(
    "rule, phase, level, stages, kept",
    [
        ("include { phase: TRAIN }", caffelite.TRAIN, 0, [], True),
        ("include { phase: TRAIN }", caffelite.TEST, 0, [], False),
        ("exclude { phase: TRAIN }", caffelite.TRAIN, 0, [], False),
        ("include { min_level: 2 }", caffelite.TRAIN, 1, [], False),
        ("include { min_level: 2 }", caffelite.TRAIN, 2, [], True),
        ("include { max_level: 2 }", caffelite.TRAIN, 3, [], False),
        ('include { stage: "a" stage: "b" }', caffelite.TRAIN, 0, ["a"], False),
        ('include { stage: "a" stage: "b" }', caffelite.TRAIN, 0, ["b", "a"], True),
        ('include { not_stage: "a" }', caffelite.TRAIN, 0, ["a"], False),
        ('include { phase: TEST } include { stage: "a" }', caffelite.TRAIN, 0, ["a"], True),
        ("include { }", caffelite.TEST, 0, [], True),
        ("exclude { phase: TEST } exclude { min_level: 1 }", caffelite.TRAIN, 0, [], True),
    ],
)
def test_layers_are_kept_by_state(rule, phase, level, stages, kept):
    net = build(data("x", 2, 3) + ip("ip", "x", "y", more=rule), phase, level=level, stages=stages)
    assert ("ip" in net.layer_dict) == kept


def test_a_net_adds_stages_to_its_own_and_sets_phase_and_level():
    own = 'state { phase: TRAIN level: 5 stage: "own" }\n' + data("x", 2, 3)
    for rule in ("phase: TEST", "max_level: 0", 'stage: "own" stage: "given"'):
        text = own + ip("ip", "x", "y", more=f"include {{ {rule} }}")
        assert "ip" in build(text, caffelite.TEST, stages=["given"]).layer_dict


def test_a_net_brings_its_own_state_which_is_of_the_test_phase():
    text = data("x", 2, 3) + ip("ip", "x", "y", more="include { phase: TEST max_level: 0 }")
    net = caffelite.Net.from_param(parse(text))
    assert net.phase == net.layer_dict["ip"].phase == caffelite.TEST
    text = text.replace("include", "phase: TRAIN include")
    assert caffelite.Net.from_param(parse(text)).layer_dict["ip"].phase == caffelite.TRAIN


@pytest.mark.parametrize(
    "more, message",
    [
        ({"phase": 2}, "phase must be"),
        ({"stages": "one"}, r"stages must be a list of names, \['one'\]"),
        ({"dtype": "float16"}, "float32 or float64, not in float16"),
    ],
)
def test_what_no_net_can_be_built_with_is_refused(more, message):
    with pytest.raises(TypeError, match=message):
        build(data("x", 2, 3), **more)


def test_a_message_of_an_old_form_is_upgraded():
    param = parse('input: "x" input_dim: [2, 3, 1, 1] layers { type: TANH bottom: "x" top: "y" }')
    before = param.SerializeToString()
    net = caffelite.Net(param, caffelite.TEST)
    assert (net.inputs, net.outputs, net.layers[1].type) == (["x"], ["y"], "TanH")
    assert param.SerializeToString() == before


def test_include_and_exclude_together_are_refused():
    rules = "include { phase: TRAIN } exclude { phase: TEST }"
    with pytest.raises(NetError, match='"ip".*only one kind'):
        build(data("x", 2, 3) + ip("ip", "x", "y", more=rules))


# Splits


def split(text):
    return passes.insert_splits(parse(text))


def test_a_blob_with_two_readers_is_split():
    net = split(data("x", 2, 3) + ip("a", "x", "ya") + ip("b", "x", "yb"))
    assert [ly.name for ly in net.layer] == ["x", "x_x_0_split", "a", "b"]
    assert list(net.layer[1].top) == ["x_x_0_split_0", "x_x_0_split_1"]
    assert [net.layer[i].bottom[0] for i in (2, 3)] == ["x_x_0_split_0", "x_x_0_split_1"]


def test_a_split_is_named_after_the_last_writer_in_place():
    text = data("x", 2, 3) + ip("a", "x", "y") + layer("relu", "ReLU", "y", "y")
    net = split(text + ip("b", "y", "z") + ip("c", "y", "w"))
    assert [ly.name for ly in net.layer] == ["x", "a", "relu", "y_relu_0_split", "b", "c"]


def test_a_loss_weight_is_a_reader_and_moves_to_the_first_top_of_the_split():
    text = data("x", 2, 3) + ip("a", "x", "y", more="loss_weight: 2") + ip("b", "y", "z")
    net = split(text)
    added = net.layer[2]
    assert (added.name, list(added.loss_weight)) == ("y_a_0_split", [2, 0])
    assert not net.layer[1].loss_weight
    assert net.layer[3].bottom[0] == "y_a_0_split_1"


def test_of_the_loss_weights_of_a_layer_with_a_split_only_that_of_the_split_stays():
    text = data("x", 2, 4) + layer("s", "Slice", "x", "a b", "loss_weight: 2 loss_weight: 3")
    net = split(text + ip("c", "a", "c"))
    assert [list(ly.loss_weight) for ly in net.layer] == [[], [], [2, 0], []]
    net = split(text + ip("c", "a", "c") + ip("d", "b", "d"))
    assert [list(ly.loss_weight) for ly in net.layer[2:4]] == [[2, 0], [3, 0]]
    assert [ly.bottom[0] for ly in net.layer[4:]] == ["a_s_0_split_1", "b_s_1_split_1"]


def test_a_loss_weight_of_0_and_that_of_a_loss_by_itself_are_no_readers():
    text = data("x", 2, 3) + data("t", 2, 3)
    text += layer("l", "EuclideanLoss", "x t", "l") + layer("p", "Power", "l", "p")
    assert split(text) == parse(text)
    text = text.replace('"l" }', '"l" loss_weight: 0 }')
    assert split(text) == parse(text)


def test_a_net_without_shared_blobs_gets_no_split():
    text = data("x", 2, 3) + ip("a", "x", "y") + layer("relu", "ReLU", "y", "y")
    assert split(text) == parse(text)


def test_gradients_of_several_readers_add_up():
    net = build(
        "force_backward: true\n"
        + data("x", 2, 3)
        + layer("s", "Eltwise", "x x x", "y", "eltwise_param { coeff: 1 coeff: 2 coeff: 4 }")
    )
    net.blobs["y"].diff[...] = 1
    net.forward()
    net.backward()
    assert (net.blobs["x"].diff == 7).all()


# Wiring


@pytest.mark.parametrize(
    "text, message",
    [
        (ip("a", "nope", "y"), 'layer "a".*bottom\\[0\\] "nope": no layer before it'),
        (data("data", 2, 3) + ip("a", "dat", "y"), 'did you mean "data"'),
        (ip("a", "z", "y") + data("z", 2, 3), 'layer "z" does, but comes too late'),
        (data("x", 2, 3) + data("x", 2, 3), '"x" is already a top of layer "x"'),
        (
            data("x", 2, 3) + ip("a", "x", "y") + ip("b", "y", "z") + layer("r", "ReLU", "y", "y"),
            '"y" is already a top of layer "a"',
        ),
        (data("x", 2, 3) + layer("r", "Relu", "x", "x"), '"Relu"; did you mean "ReLU"'),
        (data("x", 2, 3) + layer("r", "Recurrent", "x", "y"), "; for one of your own, say"),
        (data("x", 2, 3) + layer("r", "ReLU", "x x", "y"), "has 2 bottoms, expected 1"),
        (data("x", 2, 3) + layer("r", "ReLU", "x", "y z"), "has 2 tops, expected 1"),
        *[(data("x", 2, 3) + layer("d", source, "x", "y z"), "has 1 bottoms, expected 0")
          for source in SOURCES],
        (data("x", 2, 3) + ip("a", "x", "y", more="propagate_down: true propagate_down: true"),
         "propagate_down has 2 entries"),
        (data("x", 2, 3) + ip("a", "x", "y", more="param {} param {} param {}"), "3 param entries"),
        (data("x", 2, 3) + ip("a", "x", "y", more="blobs {} " * 3), "weight: .* brings 0 values"),
        (data("x", 2, 3) + layer("r", "ReLU", "x", "x", "blobs {}"), "1 blobs in the net file"),
        (data("x", 2, 3) + ip("a", "x", "y", more="loss_weight: 1 loss_weight: 1"),
         "has 2 loss_weight entries"),
        (data("x", 2, 3) + data("t", 2, 3)
         + layer("l", "EuclideanLoss", "x t", "", "loss_weight: 1 loss_weight: 1"),
         "has 2 loss_weight entries, expected none or one per top, 1"),
    ],
)  # fmt: skip
def test_wiring_mistakes_are_named(text, message):
    with pytest.raises(NetError, match=message):
        build(text)


def test_inputs_and_outputs_come_in_caffes_order():
    net = build(data("b", 2, 3) + data("a", 2, 3) + ip("1", "a", "z") + ip("2", "b", "Y"))
    assert net.inputs == ["b", "a"]
    assert net.outputs == ["Y", "z"]


def test_of_layers_with_one_name_the_last_is_found():
    net = build(data("x", 2, 3) + ip("a", "x", "y") + ip("a", "y", "z", 4))
    assert net._layer_names == ["x", "a", "a"]
    assert net.layer_dict["a"] is net.layers[2] and net.params["a"][0].shape == (4, 3)


def test_a_net_without_layers_does_nothing():
    net = build('name: "empty"')
    net.reshape()
    assert (net.forward(), net.backward(), net.forward_backward()) == ({}, {}, 0)


def test_in_place_layers_share_the_blob():
    net = build(data("x", 2, 3) + ip("a", "x", "y") + layer("r", "ReLU", "y", "y"))
    assert list(net.blobs) == ["x", "y"] and net.outputs == ["y"]
    assert net.nodes[2].top_blobs[0] is net.nodes[1].top_blobs[0]


def test_a_loss_without_a_top_gets_an_anonymous_one():
    text = data("x", 4, 3) + data("t", 4, 3) + layer("l", "EuclideanLoss", "x t")
    with pytest.raises(NetError, match='"\\(automatic\\)": no layer before it'):
        build(text + ip("a", "(automatic)", "y"))
    net = build(text)
    assert net.outputs == []
    net.blobs["x"].data[...] = 2
    assert net._forward(0, 2) == pytest.approx(6)


# Backward planning


def plan_of(text, **more):
    net = build(text, **more)
    return {node.layer.name: (node.needs_backward, node.propagate_down) for node in net.nodes}


LOSS = data("x", 4, 3) + data("t", 4, 2)
ZERO = " loss_weight: 0"


def test_data_needs_no_gradient():
    plan = plan_of(LOSS + ip("a", "x", "y", 2) + layer("l", "EuclideanLoss", "y t", "l"))
    assert plan["a"] == (True, [False])
    assert plan["l"] == (True, [True, False])
    assert plan["x"] == (False, [])


def test_what_no_loss_depends_on_is_not_run():
    text = LOSS + ip("a", "x", "y", 2) + ip("side", "y", "z")
    plan = plan_of(text + layer("l", "EuclideanLoss", "y t", "l"))
    assert plan["side"][0] is False
    assert plan["a"][0] is True


def test_frozen_layers_stop_the_gradient():
    frozen = "param { lr_mult: 0 } param { lr_mult: 0 }"
    text = LOSS + ip("a", "x", "h", more=frozen) + ip("b", "h", "y", 2)
    plan = plan_of(text + layer("l", "EuclideanLoss", "y t", "l"))
    assert plan["a"] == (False, [False])
    assert plan["b"] == (True, [False])


def test_propagate_down_overrides():
    text = LOSS + ip("a", "x", "h") + ip("b", "h", "y", 2, more="propagate_down: false")
    plan = plan_of(text + layer("l", "EuclideanLoss", "y t", "l"))
    assert plan["b"] == (True, [False])
    assert plan["a"] == (False, [False])


def test_layers_whose_tops_count_as_given_stop_the_gradient():
    """Weights of boxes, mined by a loss that depends on weights, get none, as labels get none."""
    text = data("x", 4, 3) + data("t", 4, 2) + data("rois", 4, 5) + data("labels", 4)
    text += ip("a", "x", "y", 2) + layer("each", "SmoothL1LossOHEM", "y t", "sum each", ZERO * 2)
    mine = (
        "box_annotator_ohem_param { roi_per_img: 1 } propagate_down: true"
        + " propagate_down: 1" * 3
    )
    text += layer("mine", "BoxAnnotatorOHEM", "rois each labels t", "mined w", mine)
    net = build(text + layer("l", "SmoothL1Loss", "y t w", "l"))
    planned = {node.layer.name: (node.needs_backward, node.propagate_down) for node in net.nodes}
    assert planned["mine"] == (False, [False] * 4)
    assert planned["each"][0] is False
    assert planned["l"] == (True, [True, False, False])
    net.forward()
    net.backward()


def test_a_blob_that_gives_its_shape_alone_asks_for_no_gradient():
    """U-Net's labels are cut to the size of its scores."""
    text = data("x", 4, 3, 5, 5) + data("t", 4, 1, 5, 5)
    text += layer(
        "a", "Convolution", "x", "y", "convolution_param { num_output: 2 kernel_size: 3 }"
    )
    text += layer("cut", "Crop", "t y", "seen", "crop_param { offset: 1 }")
    net = build(text + layer("l", "SoftmaxWithLoss", "y seen", "l"))
    found = {node.layer.name: (node.needs_backward, node.propagate_down) for node in net.nodes}
    assert found["cut"] == (False, [False, False])
    assert found["l"] == (True, [True, False])
    net.forward()
    net.backward()
    assert net.layer_dict["a"].bias.diff.any()


def test_force_backward_reaches_the_data_but_not_labels():
    text = data("x", 4, 3) + data("t", 4) + ip("a", "x", "y", 2)
    plan = plan_of("force_backward: true\n" + text + layer("l", "SoftmaxWithLoss", "y t", "l"))
    assert plan["a"] == (True, [True])
    assert plan["l"] == (True, [True, False])


FROZEN_BIAS = "param { lr_mult: -1 } param { lr_mult: 0 }"


@pytest.mark.parametrize(
    "force, kind, specs, need, flags",
    [
        (False, ip, FROZEN_BIAS, True, [True, False]),
        (True, ip, FROZEN_BIAS, True, [True, True]),
        (False, batch_norm, "", True, [True] * 3),
        (False, batch_norm, "param { lr_mult: 0 } " * 3, False, [False] * 3),
        (False, batch_norm, "param { lr_mult: 0 } " * 2, True, [False, False, True]),
    ],
)
def test_what_the_file_says_of_rates_tells_which_blobs_get_a_gradient(
    force, kind, specs, need, flags
):
    text = "force_backward: true\n" * force + data("x", 4, 3) + data("t", 4, 3)
    text += kind("a", "x", "y", more=specs) + layer("l", "EuclideanLoss", "y t", "l")
    found = build(text).layer_dict["a"]
    assert (found.needs_backward, found.param_propagate_down) == (need, flags)


def test_propagate_down_may_ask_for_the_gradient_of_data():
    text = LOSS + ip("a", "x", "y", 2, more="propagate_down: true")
    assert plan_of(text + layer("l", "EuclideanLoss", "y t", "l"))["a"] == (True, [True])


@pytest.mark.parametrize(
    "text",
    [
        ip("a", "x", "y", 2) + layer("l", "SoftmaxWithLoss", "y t", "l", "loss_weight: 0"),
        ip("a", "x", "y", 2),
        ip("a", "x", "y", 2) + layer("s", "Silence", "y"),
    ],
)
def test_without_a_loss_nothing_runs_backward(text):
    assert not any(need for need, _ in plan_of(data("x", 4, 3) + data("t", 4) + text).values())


@pytest.mark.parametrize(
    "type, bottoms, options, wants",
    [
        ("ContrastiveLoss", "p q s", "", [True, True, False]),
        ("EuclideanLoss", "p q", "", [True, True]),
        ("SigmoidCrossEntropyLoss", "p q", "", [True, False]),
        ("InfogainLoss", "p s m", "", [True, False, False]),
        ("LSTM", "seq s2", "recurrent_param { num_output: 2 }", [True, False]),
        ("RNN", "seq s2", "recurrent_param { num_output: 2 }", [True, False]),
        ("LSTMUnit", "c gates s3", "", [True, True, False]),
        ("Accuracy", "p s", "", [False, False]),
        ("ArgMax", "p", "", [False]),
        ("Threshold", "p", "", [False]),
        ("Embed", "s", "embed_param { input_dim: 4 num_output: 2 }", [False]),
        ("BatchReindex", "p s", "", [True, False]),
        ("Filter", "p s", "", [True, False]),
    ],
)
def test_force_backward_leaves_alone_what_has_no_gradient(type, bottoms, options, wants):
    """Of Caffe's layers, those from Accuracy on would stop such a net."""
    sizes = {"p": (4, 3), "q": (4, 3), "s": (4,), "m": (3, 3), "seq": (5, 4, 3), "s2": (5, 4)}
    sizes |= {"c": (1, 4, 3), "gates": (1, 4, 12), "s3": (1, 4)}
    inputs = "".join(data(name, *sizes[name]) for name in bottoms.split())
    tops = "y z" if type == "LSTMUnit" else "y"
    net = build("force_backward: true\n" + inputs + layer("l", type, bottoms, tops, options))
    assert net.nodes[-1].propagate_down == wants
    net.forward_backward()


# Sharing


def test_blobs_of_one_name_are_one_blob():
    shared = 'param { name: "w" } param { name: "b" }'
    text = data("x", 2, 3) + ip("a", "x", "y", more=shared) + ip("b", "y", "z", more=shared)
    net = build(text)
    net.params["b"][0].data[0, 0] = 42
    assert net.params["a"][0].data[0, 0] == 42
    assert len(net.learnable) == 2


@pytest.mark.parametrize(
    "more, message",
    [
        ('num_output: 2 } param { name: "w" }', "expected \\(3, 3\\)"),
        ('num_output: 3 } param { name: "w" lr_mult: 3 }', "lr_mult 2, expected the same, not 3"),
        ('num_output: 3 } param { name: "w" decay_mult: 3 }', "decay_mult 1, expected the same"),
    ],
)
def test_sharing_mistakes_are_named(more, message):
    first = ip("a", "x", "y", more='param { name: "w" lr_mult: 2 decay_mult: 1 }')
    second = layer("b", "InnerProduct", "y", "z", f"inner_product_param {{ {more}")
    with pytest.raises(NetError, match=message):
        build(data("x", 2, 3) + first + second)


def test_a_sharer_may_set_what_the_owner_left_open():
    text = data("x", 2, 3) + ip("a", "x", "y", more='param { name: "w" }')
    net = build(text + ip("b", "y", "z", more='param { name: "w" lr_mult: 5 decay_mult: 0 }'))
    assert (net.learnable[0].lr_mult, net.learnable[0].decay_mult) == (5, 0)
    assert [(e.layer, e.index) for e in net.learnable] == [("a", 0), ("a", 1), ("b", 1)]


def test_permissive_sharing_asks_for_the_count_only():
    text = data("x", 2, 6) + data("y", 2, 4)
    first = ip("a", "x", "p", 2, 'param { name: "w" }')
    second = ip("b", "y", "q", 3, 'param { name: "w" share_mode: PERMISSIVE }')
    net = build(text + first + second)
    assert net.params["b"][0].shape == (3, 4)
    with pytest.raises(NetError, match="expected"):
        build(text + first + second.replace("PERMISSIVE", "STRICT"))


def test_nets_share_weights_by_layer_name():
    text = data("x", 2, 3) + ip("a", "x", "y")
    one, two = build(text), build(text)
    two.share_with(one)
    one.params["a"][0].data[...] = 7
    assert (two.params["a"][0].data == 7).all()


# Running


def test_forward_takes_inputs_and_returns_outputs():
    net = build(data("x", 2, 3) + ip("a", "x", "h") + ip("b", "h", "y"))
    x = np.arange(6.0).reshape(2, 3)
    out = net.forward(x=x, blobs=["h"])
    w, b = net.params["a"][0].data, net.params["b"][0].data
    np.testing.assert_allclose(out["h"], x @ w.T, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(out["y"], x @ w.T @ b.T, rtol=1e-5, atol=1e-6)


def test_forward_refuses_other_inputs_and_shapes():
    net = build(data("x", 2, 3) + ip("a", "x", "y"))
    with pytest.raises(NetError, match=r"inputs are \['x'\]"):
        net.forward(z=np.zeros((2, 3)))
    with pytest.raises(NetError, match=r"has shape \(2, 3\), got \(5, 4\)"):
        net.forward(x=np.zeros((5, 4)))
    with pytest.raises(ValueError, match='no layer "nope"'):
        net.forward(end="nope")


def test_parts_of_a_net_run_alone():
    net = build(data("x", 2, 3) + ip("a", "x", "h") + ip("b", "h", "y"))
    assert list(net.forward(end="a")) == ["h"]
    net.blobs["h"].data[...] = 1
    y = net.forward(start="b")["y"]
    np.testing.assert_allclose(y, np.ones((2, 3)) @ net.params["b"][0].data.T, rtol=1e-6, atol=1e-6)


def test_backward_returns_the_diffs_of_inputs():
    net = build("force_backward: true\n" + data("x", 2, 3) + ip("a", "x", "y"))
    net.forward()
    dy = np.arange(6.0).reshape(2, 3)
    dx = net.backward(y=dy)["x"]
    np.testing.assert_allclose(dx, dy @ net.params["a"][0].data, rtol=1e-6, atol=1e-6)


def test_a_new_batch_size_passes_through():
    net = build(data("x", 2, 3) + ip("a", "x", "y"))
    net.blobs["x"].reshape(5, 3)
    assert net.forward()["y"].shape == (5, 3)
    net.blobs["x"].reshape(1, 3)
    net.reshape()
    assert net.blobs["y"].shape == (1, 3)
    net.blobs["x"].reshape(1, 4)
    with pytest.raises(NetError, match="expected 3 values from axis 1 on, not 4"):
        net.forward()


@pytest.mark.parametrize("shape", [(1,), (7, 3, 5)])
def test_a_top_that_was_reshaped_gets_its_shape_back(shape):
    net = build(data("x", 2, 3) + ip("a", "x", "y") + layer("r", "ReLU", "y", "y"))
    net.blobs["x"].data[...] = 1
    before = net.forward()["y"].copy()
    net.blobs["y"].reshape(*shape)
    np.testing.assert_array_equal(net.forward()["y"], before)
    net.blobs["y"].reshape(*shape)
    net.forward(start="r")  # a part of a net goes by what it is given
    assert net.blobs["y"].shape == shape


LRN = "force_backward: true\n" + data("x", 2, 3, 1, 1) + layer("n", "LRN", "x", "y")


@pytest.mark.parametrize("index, shape, name", [(0, (2, 50), "weight"), (1, (3,), "bias")])
def test_learnable_blobs_keep_their_shapes(index, shape, name):
    net = build(
        data("x", 1, 5)
        + layer("ip", "InnerProduct", "x", "y", "inner_product_param { num_output: 2 }")
    )
    net.params["ip"][index].reshape(*shape)
    with pytest.raises(NetError, match=rf"{name} has shape \({shape[0]},.*, as at setup"):
        net.forward()


def test_backward_after_another_shape_is_refused():
    net = build(LRN)
    net.forward()
    net.blobs["x"].reshape(900, 3, 1, 1)
    with pytest.raises(NetError, match=r'"n" \(LRN\): a bottom or top has another shape'):
        net.backward()
    net.forward()
    net.backward()


def test_backward_before_forward_runs_where_it_can():
    net = build(LRN)
    net.blobs["y"].diff[...] = 1
    assert (net.backward()["x"] == 1).all()
    net = build(LRN + layer("d", "Dropout", "y", "z"))
    with pytest.raises(NetError, match=r'"d" \(Dropout\): backward needs .*; run forward first'):
        net.backward()


def test_callbacks_see_every_layer():
    net = build("force_backward: true\n" + data("x", 2, 3) + ip("a", "x", "y"))
    seen = []
    net.before_forward(lambda i: seen.append(("bf", i)))
    net.after_backward(lambda i: seen.append(("ab", i)))
    net.forward()
    net.backward()
    assert seen == [("bf", 0), ("bf", 1), ("ab", 1), ("ab", 0)]


def test_loss_weights_scale_loss_and_gradient():
    text = data("x", 4, 3) + data("t", 4, 3)
    net = build(
        "force_backward: true\n" + text + layer("l", "EuclideanLoss", "x t", "l", "loss_weight: 3")
    )
    net.blobs["x"].data[...] = 2
    assert net._forward(0, 2) == pytest.approx(18)
    net.backward()
    np.testing.assert_allclose(net.blobs["x"].diff, 3 * 2 / 4)


def test_a_top_of_any_shape_counts_as_the_sum_of_its_values():
    net = build("force_backward: true\n" + data("x", 2, 3) + layer("y", "Power", "x", "y",
                "power_param { scale: 5 } loss_weight: 2"))  # fmt: skip
    for shape in ((2, 3), (7, 4)):  # the second takes new memory
        net.blobs["x"].reshape(*shape)
        net.blobs["x"].data[...] = 1
        assert net._forward(0, len(net.layers) - 1) == 2 * 5 * np.prod(shape)
        net.backward()
        np.testing.assert_array_equal(net.blobs["x"].diff, np.full(shape, 2 * 5))


def test_the_old_constructor_form_still_works(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(data("x", 2, 3) + ip("a", "x", "y"))
    net = caffelite.Net(str(path), caffelite.TEST)
    net.save(tmp_path / "w.caffemodel")
    with pytest.warns(DeprecationWarning):
        again = caffelite.Net(str(path), str(tmp_path / "w.caffemodel"), caffelite.TEST)
    np.testing.assert_array_equal(again.params["a"][0].data, net.params["a"][0].data)


def test_the_same_seed_gives_the_same_weights():
    text = data("x", 2, 3) + ip("a", "x", "y")
    nets = []
    for _ in range(2):
        caffelite.set_random_seed(5)
        nets.append(build(text))
    np.testing.assert_array_equal(*(net.params["a"][0].data for net in nets))
    assert (build(text).params["a"][0].data != nets[0].params["a"][0].data).any()


def test_debug_info_logs_mean_absolute_values(caplog):
    text = 'debug_info: true name: "n"\n' + data("x", 2, 3) + data("t", 2, 3)
    text += ip("a", "x", "y", more='param { name: "w" } param { lr_mult: 0 }')
    net = build(text + layer("l", "EuclideanLoss", "y t"))
    net.blobs["x"].data[...] = 1
    net.params["a"][0].data[...] = -0.5
    with caplog.at_level("INFO", "caffelite"):
        net.forward_backward()
        net.backward(end="a")
    lines = [(r.levelname, r.getMessage()) for r in caplog.records if "    [" in r.getMessage()]
    assert lines[:-2] == [
        ("INFO", "    [Forward] Layer x, top blob x data: 1"),
        ("INFO", "    [Forward] Layer t, top blob t data: 0"),
        ("INFO", "    [Forward] Layer a, top blob y data: 1.5"),
        ("INFO", "    [Forward] Layer a, param blob w data: 0.5"),
        ("INFO", "    [Forward] Layer a, param blob 1 data: 0"),
        ("INFO", "    [Forward] Layer l, top blob (automatic) data: 3.375"),
        ("INFO", "    [Backward] Layer l, bottom blob y diff: 0.75"),
        ("INFO", "    [Backward] Layer a, param blob 0 diff: 1.5"),
        (
            "ERROR",
            "    [Backward] All net params (data, diff): "
            "L1 norm = (4.5, 13.5); L2 norm = (1.5, 4.5)",
        ),
    ]
    assert [line for _, line in lines[-2:]] == [
        "    [Backward] Layer l, bottom blob y diff: 0.75",
        "    [Backward] Layer a, param blob 0 diff: 3",
    ]


def test_the_log_of_a_net_is_caffes(caplog):
    text = 'name: "n"' + data("x", 2, 3) + data("t", 2, 3)
    text += ip("a", "x", "y", more='param {} param { name: "b" }') + layer("r", "ReLU", "y", "y")
    text += layer("z", "Bias", "y", "z", 'param { name: "b" }')
    with caplog.at_level("INFO", "caffelite"):
        build(text + layer("l", "EuclideanLoss", "z t", "loss", "loss_weight: 0.5"))
    assert caplog.messages == [
        *("Creating Layer x", "x -> x", "Setting up x", "Top shape: 2 3 (6)"),
        "Memory required for data: 24",
        *("Creating Layer t", "t -> t", "Setting up t", "Top shape: 2 3 (6)"),
        "Memory required for data: 48",
        *("Creating Layer a", "a <- x", "a -> y", "Setting up a", "Top shape: 2 3 (6)"),
        "Memory required for data: 72",
        *("Creating Layer r", "r <- y", "r -> y (in-place)", "Setting up r", "Top shape: 2 3 (6)"),
        "Memory required for data: 96",
        *("Creating Layer z", "z <- y", "z -> z", "Setting up z", "Top shape: 2 3 (6)"),
        "Memory required for data: 120",
        "Sharing parameters 'b' owned by layer 'a', param index 1",
        *("Creating Layer l", "l <- z", "l <- t", "l -> loss", "Setting up l", "Top shape: (1)"),
        *("    with loss weight 0.5", "Memory required for data: 124"),
        *(f"{name} needs backward computation." for name in "lzra"),
        *(f"{name} does not need backward computation." for name in "tx"),
        *("This network produces output loss", "Network initialization done."),
    ]


def test_a_long_chain_in_place_is_planned_in_linear_time():
    """It was quadratic: a minute for 10,000 layers."""
    text = 'layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 2 } } }\n'
    text += "".join(
        f'layer {{ name: "r{k}" type: "ReLU" bottom: "d" top: "d" }}\n' for k in range(200)
    )
    lines = {}
    for many in (100, 200):
        param = parse("".join(text.splitlines(True)[: 1 + many]))
        lines[many] = lines_run(lambda param=param: caffelite.Net.from_param(param).economize())
    assert lines[200] < 2.2 * lines[100]


def lines_run(function):
    """How many lines of Python a call runs: unlike time, the same on every machine."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return count
