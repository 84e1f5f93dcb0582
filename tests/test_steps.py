"""A net whose layers run in common steps shows what one shows that runs layer by layer."""

import numpy as np
import pytest
from google.protobuf import text_format

import caffelite
from caffelite.proto import caffe_pb2

HEAD = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 3 dim: 7 dim: 6 } } }
layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 4 } } }
"""
TAIL = """
layer { name: "ip" type: "InnerProduct" bottom: "%s" top: "ip"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "t" top: "loss" }
"""


def conv(name, bottom, more="", bias=True, num_output=5):
    return f"""
    layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" {more}
      convolution_param {{ num_output: {num_output} kernel_size: 3 pad: 1 bias_term: {str(bias).lower()}
        weight_filler {{ type: "gaussian" std: 0.3 }} bias_filler {{ type: "gaussian" std: 0.3 }} }} }}
    """  # noqa: E501


def on(blob, *types):
    more = {
        "BatchNorm": "batch_norm_param { eps: 0.001 }",
        "Global": "batch_norm_param { use_global_stats: true }",
        "Scale": 'scale_param { bias_term: true filler { type: "gaussian" mean: 1 std: 0.5 }'
        ' bias_filler { type: "gaussian" std: 0.5 } }',
        "Bias": 'bias_param { filler { type: "gaussian" std: 0.5 } }',
        "ReLU6": "relu6_param {}",
        "ReLUX": "relux_param { maximal_value: 0.7 }",
        "Clip": "clip_param { min: -0.2 max: 0.4 }",
        "PReLU": 'prelu_param { filler { type: "gaussian" std: 0.5 } }',
        "SharedPReLU": "prelu_param { channel_shared: true }",
        "OwnScale": 'batch_norm_param { scale_filler { type: "gaussian" mean: 1 std: 0.5 }'
        ' bias_filler { type: "gaussian" std: 0.5 } }',
        "GlobalOwnScale": "batch_norm_param { use_global_stats: true scale_filler {"
        ' type: "gaussian" mean: 1 std: 0.5 } bias_filler { type: "gaussian" std: 0.5 } }',
        "PlainScale": 'scale_param { filler { type: "gaussian" mean: 1 std: 0.5 } }',
        "Leaky": "relu_param { negative_slope: 0.1 }",
        "Opposite": "power_param { scale: -1 }",
    }
    names = {"Global": "BatchNorm", "PlainScale": "Scale", "Leaky": "ReLU", "Opposite": "Power"}
    names |= dict.fromkeys(["OwnScale", "GlobalOwnScale"], "BatchNorm") | {"SharedPReLU": "PReLU"}
    return "".join(
        f'layer {{ name: "{blob}_{i}" type: "{names.get(t, t)}" bottom: "{blob}" top: "{blob}" '
        f"{more.get(t, '')} }}\n"
        for i, t in enumerate(types)
    )


RESIDUAL = (
    HEAD
    + conv("a", "x", bias=False)
    + on("a", "BatchNorm", "Scale", "ReLU")
    + conv("b", "a", bias=False)
    + on("b", "BatchNorm", "Scale")
    + 'layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum" }'
    + on("sum", "ReLU")
    + TAIL % "sum"
)
NETS = {
    "residual": RESIDUAL,
    "rectified": HEAD + conv("a", "x") + on("a", "ReLU") + TAIL % "a",
    "leaky": HEAD + conv("a", "x") + on("a", "Leaky") + TAIL % "a",
    "plain scale": HEAD + conv("a", "x") + on("a", "BatchNorm", "PlainScale") + TAIL % "a",
    "frozen scale": (
        HEAD + conv("a", "x") + on("a", "BatchNorm", "Scale", "ReLU") + TAIL % "a"
    ).replace("scale_param {", "param { lr_mult: 0 } scale_param {"),
    "statistics only": HEAD + conv("a", "x") + on("a", "BatchNorm", "ReLU") + TAIL % "a",
    "fixed statistics": HEAD + conv("a", "x") + on("a", "Global", "Scale", "ReLU") + TAIL % "a",
    "fixed, no scale": HEAD + conv("a", "x") + on("a", "Global", "ReLU") + TAIL % "a",
    "scale alone": HEAD + conv("a", "x") + on("a", "Scale", "ReLU") + TAIL % "a",
    "kept by PReLU": HEAD + conv("a", "x") + on("a", "PReLU") + TAIL % "a",
    "apart from its convolution": HEAD
    + conv("a", "x", bias=False)
    + 'layer { name: "bn" type: "BatchNorm" bottom: "a" top: "bn" }'
    + on("bn", "Scale", "ReLU")
    + TAIL % "bn",
    "frozen convolution": HEAD
    + conv("a", "x", more="param { lr_mult: 0 } param { lr_mult: 0 }")
    + on("a", "BatchNorm", "Scale", "ReLU")
    + TAIL % "a",
    **{
        f"{norm} {activation}": HEAD + conv("a", "x") + on("a", norm, activation) + TAIL % "a"
        for norm in ("BatchNorm", "Global", "OwnScale", "GlobalOwnScale", "Bias")
        for activation in ("Leaky", "ReLUX", "Clip", "PReLU")
    },
    **{
        activation: HEAD + conv("a", "x") + on("a", activation) + TAIL % "a"
        for activation in ("ReLU6", "ReLUX", "Clip", "SharedPReLU")
    },
    **{
        f"{norm} with a blob of its own, {activation}": HEAD
        + conv("a", "x", bias=False)
        + f'layer {{ name: "bn" type: "BatchNorm" bottom: "a" top: "bn" {norm} }}'
        + on("bn", "PlainScale", activation)
        + TAIL % "bn"
        for norm in ("", "batch_norm_param { use_global_stats: true }")
        for activation in ("Leaky", "ReLUX")
    },
    **{
        f"sum, {activation}": HEAD
        + conv("a", "x")
        + conv("b", "x", more=more)
        + 'layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum" }'
        + on("sum", activation)
        + TAIL % "sum"
        for more in ("", "param { lr_mult: 0 } param { lr_mult: 0 }")
        for activation in ("Leaky", "ReLUX", "Clip", "PReLU", "SharedPReLU")
    },
    "instances": HEAD + conv("a", "x") + on("a", "InstanceNorm", "Scale", "ReLU") + TAIL % "a",
    "instances apart from their convolution": HEAD
    + conv("a", "x")
    + 'layer { name: "norm" type: "InstanceNorm" bottom: "a" top: "norm" }'
    + on("norm", "Scale", "Leaky")
    + TAIL % "norm",
    "instances alone": HEAD + conv("a", "x") + on("a", "InstanceNorm", "ReLU") + TAIL % "a",
    "without bias": HEAD + conv("a", "x", bias=False) + on("a", "Leaky") + TAIL % "a",
    "frozen bias": HEAD
    + conv("a", "x", more="param { lr_mult: 1 } param { lr_mult: 0 }")
    + on("a", "ReLUX")
    + TAIL % "a",
    "frozen below a scale": HEAD
    + conv("a", "x", more="param { lr_mult: 0 } param { lr_mult: 0 }")
    + on("a", "Scale")
    + TAIL % "a",
    "frozen below": HEAD
    + conv("a", "x", more="param { lr_mult: 0 } param { lr_mult: 0 }")
    + on("a", "BatchNorm", "Scale", "Leaky")
    + TAIL % "a",
    "channels of another axis": HEAD
    + conv("a", "x").replace("kernel_size", "axis: 2 kernel_size")
    + on("a", "PReLU", "BatchNorm", "ReLU")
    + TAIL % "a",
    "transposed": HEAD.replace("x", "x")
    + conv("a", "x").replace("Convolution", "Deconvolution")
    + on("a", "Global", "Scale", "PReLU")
    + TAIL % "a",
    "weighted sum": HEAD
    + conv("a", "x")
    + conv("b", "x")
    + 'layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum" '
    "eltwise_param { coeff: 0.5 coeff: -2 } }" + on("sum", "ReLU") + TAIL % "sum",
}


def build(text, planned, monkeypatch, phase=caffelite.TRAIN, dtype=np.float64):
    monkeypatch.setenv("CAFFELITE_PLAN", "on" if planned else "off")
    param = text_format.Parse(text, caffe_pb2.NetParameter())
    net = caffelite.Net(param, phase, dtype=dtype, seed=5)
    generator = np.random.default_rng(0)
    net.blobs["x"].data[...] = generator.standard_normal(net.blobs["x"].shape)
    net.blobs["t"].data[...] = [0, 1, 2, 1]
    for layer in net.layers:
        if layer.type == "BatchNorm":  # statistics to use where they are fixed
            for blob in layer.blobs:
                blob.data[...] = 1 + generator.random(blob.shape)
    return net


def fused(net):
    """{first layer of a fused step: the others}."""
    steps = [[node.layer.name for node in step.nodes] for step in net.steps]
    return {first: others for first, *others in steps if others}


def assert_same(one, two, tolerance=1e-12):
    for name in one.blobs:
        for kind in ("data", "diff"):
            a, b = (getattr(net.blobs[name], kind) for net in (one, two))
            np.testing.assert_allclose(
                a, b, rtol=tolerance, atol=tolerance, err_msg=f"{name} {kind}"
            )
    for name, blobs in one.params.items():
        for i, (a, b) in enumerate(zip(blobs, two.params[name], strict=True)):
            at = f"{name} {i}"
            np.testing.assert_allclose(a.data, b.data, rtol=tolerance, err_msg=at)
            np.testing.assert_allclose(a.diff, b.diff, rtol=tolerance, atol=tolerance, err_msg=at)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("phase", [caffelite.TRAIN, caffelite.TEST])
@pytest.mark.parametrize("force", [False, True])
def test_planned_nets_show_the_same(name, phase, force, monkeypatch):
    text = "force_backward: true\n" * force + NETS[name]
    planned, alone = (build(text, on, monkeypatch, phase) for on in (True, False))
    assert not fused(alone) and not alone._schedule.kept
    for net in (planned, alone):
        for _ in range(2):
            net.clear_param_diffs()
            net.forward_backward()
    assert_same(planned, alone)


@pytest.mark.parametrize("name", NETS)
def test_nets_that_run_forward_only_give_the_same_outputs(name, monkeypatch):
    alone, planned = (build(NETS[name], on, monkeypatch, caffelite.TEST) for on in (False, True))
    planned.economize(forward_only=True)  # which plans again, as the last build did
    for net in (planned, alone):
        net.forward()
    np.testing.assert_allclose(planned.blobs["loss"].data, alone.blobs["loss"].data, rtol=1e-12)


def test_a_convolution_takes_fixed_statistics_along(monkeypatch):
    net = build(RESIDUAL, True, monkeypatch, caffelite.TEST)
    assert set(fused(net)) == {"a_0", "b_0", "sum"}
    net.economize(forward_only=True)
    assert fused(net) == {"a": ["a_0", "a_1", "a_2"], "b": ["b_0", "b_1", "sum", "sum_0"]}
    assert not net._schedule.kept


def test_float32_agrees_within_rounding(monkeypatch):
    nets = [build(RESIDUAL, on, monkeypatch, dtype=np.float32) for on in (True, False)]
    for net in nets:
        net.forward_backward()
    assert_same(*nets, tolerance=2e-5)


def test_chains_are_what_the_net_says(monkeypatch):
    net = build(RESIDUAL, True, monkeypatch)
    assert fused(net) == {"a_0": ["a_1", "a_2"], "b_0": ["b_1", "sum", "sum_0"]}
    assert [[net.layers[i].name for i in kept.writers] for kept in net._schedule.kept] == [
        ["a"],
        ["b"],
    ]


LAYERS = ["a", "a_0", "a_1", "a_2", "b_0", "sum", "sum_0", "ip"]


@pytest.mark.parametrize("end", LAYERS)
def test_a_forward_may_end_anywhere(end, monkeypatch):
    nets = [build(RESIDUAL, on, monkeypatch) for on in (True, False)]
    for net in nets:
        net.forward()
        net.blobs["x"].data[...] *= 2
        net.forward(end=end)
    assert_same(*nets)


def test_a_forward_may_end_where_a_chain_is_kept_apart(monkeypatch):
    text = HEAD + conv("a", "x") + on("a", "ReLU") + conv("b", "x") + on("a", "Opposite")
    nets = [build(text + TAIL % "a", on, monkeypatch) for on in (True, False)]
    assert fused(nets[0]) and nets[0]._schedule.kept
    for end in ("a_0", "b"):  # the chain, and another layer between it and its reader
        for net in nets:
            net.forward()
            net.forward(end=end)
        assert_same(*nets)


@pytest.mark.parametrize("start", LAYERS)
def test_a_forward_may_start_anywhere(start, monkeypatch):
    nets = [build(RESIDUAL, on, monkeypatch) for on in (True, False)]
    for net in nets:
        net.forward()
        bottom = net.blobs[net.bottom_names[start][0]]
        bottom.data[...] = np.cos(np.arange(bottom.count)).reshape(bottom.shape)
        net.forward(start=start)
        net.backward()
    # a forward from inside a chain leaves a difference: what of the chain was not run again
    np.testing.assert_allclose(nets[0].blobs["ip"].data, nets[1].blobs["ip"].data, rtol=1e-12)
    if start not in ("a_0", "a_1", "a_2"):
        assert_same(*nets)


@pytest.mark.parametrize("start", LAYERS)
@pytest.mark.parametrize("end", LAYERS)
def test_a_backward_may_cover_any_part(start, end, monkeypatch):
    if LAYERS.index(start) < LAYERS.index(end):
        pytest.skip("backward runs from later layers to earlier ones")
    nets = [build(RESIDUAL, on, monkeypatch) for on in (True, False)]
    for net in nets:
        net.forward()
        for name in ("a", "b", "sum", "ip"):
            diff = net.blobs[name].diff
            diff[...] = np.sin(np.arange(diff.size)).reshape(diff.shape)
        net.backward(start=start, end=end)
    assert_same(*nets)


def test_callbacks_come_for_each_layer_of_a_step_in_order(monkeypatch):
    net = build(RESIDUAL, True, monkeypatch)
    calls = []
    for moment in ("before_forward", "after_forward", "before_backward", "after_backward"):
        getattr(net, moment)(lambda i, moment=moment: calls.append((moment, i)))
    net.forward_backward()
    assert fused(net)
    places = range(len(net.layers))
    for way, order in (("forward", places), ("backward", reversed(places))):
        expected = [(f"{moment}_{way}", i) for i in order for moment in ("before", "after")]
        assert [call for call in calls if call[0].endswith(f"_{way}")] == expected


def test_callbacks_see_what_the_step_of_a_layer_made(monkeypatch):
    nets = [build(RESIDUAL, on, monkeypatch) for on in (True, False)]
    seen = []
    for net in nets:
        blobs = [net.blobs[node.top_names[0]] for node in net.nodes]
        values = {"data": {}, "diff": {}}
        net.after_forward(lambda i, v=values, b=blobs: v["data"].update({i: b[i].data.copy()}))
        net.after_backward(lambda i, v=values, b=blobs: v["diff"].update({i: b[i].diff.copy()}))
        net.forward_backward()
        seen.append(values)
    for step in nets[0].steps:
        for i in range(step.first, step.last + 1):
            apart = [part for part in step.apart if part.first <= i <= part.last]
            (ran,) = apart or [step]  # a step that hides a blob does not run where somebody looks
            np.testing.assert_allclose(seen[0]["data"][i], seen[1]["data"][ran.last], rtol=1e-12)
            np.testing.assert_allclose(seen[0]["diff"][i], seen[1]["diff"][ran.first], 1e-12, 1e-12)
    assert_same(*nets)


@pytest.mark.parametrize("moment", ["after_forward", "before_forward"])
def test_what_a_callback_changes_between_steps_counts(moment, monkeypatch):
    nets = [build(RESIDUAL, on, monkeypatch) for on in (True, False)]
    for net in nets:
        place = net._layer_names.index("a" if moment == "after_forward" else "a_0")

        def change(index, net=net, place=place):
            if index == place:
                net.blobs["a"].data[...] += np.cos(np.arange(840)).reshape(4, 5, 7, 6)

        getattr(net, moment)(change)
        net.forward_backward()
    assert nets[0]._schedule.kept
    assert_same(*nets)


@pytest.mark.parametrize(
    "types, training, testing",
    [
        (["ReLU"], 1, 1),
        (["Leaky"], 1, 1),
        (["ReLU6"], 1, 1),
        (["ReLUX", "ReLU"], 1, 1),
        (["Clip"], 0, 1),  # its gradient where y is min or max does not show from y
        (["PReLU"], 0, 1),
        (["Sigmoid"], 0, 0),
        (["Scale", "PReLU"], 0, 2),
        (["Bias", "Clip"], 0, 2),
        (["Global", "Scale", "ReLU6"], 0, 3),
        (["Global", "Bias"], 0, 2),
        (["GlobalOwnScale", "ReLU"], 0, 2),
        (["GlobalOwnScale", "Scale"], 0, 1),
        (["BatchNorm", "Scale"], 0, 0),
    ],
)
def test_what_a_convolution_takes_along(types, training, testing, monkeypatch):
    net = build(HEAD + conv("a", "x") + on("a", *types) + TAIL % "a", True, monkeypatch)
    assert len(fused(net).get("a", ())) == training
    net.economize(forward_only=True)
    assert len(fused(net).get("a", ())) == testing


# Gradients that are ready while backward goes on

SHARED = HEAD + conv("a", "x", num_output=3) + on("a", "ReLU") + conv("b", "a", num_output=3)
SHARED = SHARED.replace('Convolution"', 'Convolution" param { name: "w" } param { name: "v" }')
SHARED += conv("c", "b") + on("c", "BatchNorm", "Scale", "ReLU") + TAIL % "c"


@pytest.mark.parametrize("planned", [True, False])
def test_gradients_are_final_when_they_are_said_to_be(planned, monkeypatch):
    net = build(SHARED, planned, monkeypatch)
    names = {id(e.blob): f"{e.layer} {e.index}" for e in net.learnable}
    told, found = [], {}

    def ready(blobs):
        told.append({names[id(blob)] for blob in blobs})
        found.update({names[id(blob)]: blob.diff.copy() for blob in blobs})

    net.on_gradients_ready(ready)
    net.clear_param_diffs()
    net.forward_backward()
    expected = [{"ip 0", "ip 1"}, {"c_1 0", "c_1 1"}, {"c 0", "c 1"}, {"a 0", "a 1"}]
    assert told == expected
    for entry in net.learnable:
        name = names[id(entry.blob)]
        assert (name in found) == (not name.startswith("c_0"))
        if name in found:
            np.testing.assert_array_equal(entry.blob.diff, found[name], name)


def test_gradients_wait_for_the_last_pass(monkeypatch):
    net = build(SHARED, True, monkeypatch)
    told = []
    net.on_gradients_ready(told.extend)
    net.clear_param_diffs()
    net.gradients_are_final = False
    net.forward_backward()
    assert not told
    net.gradients_are_final = True
    net.forward_backward()
    assert len({id(blob) for blob in told}) == len(told) == 8


def test_another_batch_size_passes_through(monkeypatch):
    nets = [build(RESIDUAL, on, monkeypatch) for on in (True, False)]
    for net in nets:
        net.forward_backward()
        net.blobs["x"].reshape(2, 3, 7, 6)
        net.blobs["t"].reshape(2)
        net.forward_backward()
    assert_same(*nets)


# Layers in place on what others' backward reads

SPOILED = {
    "Sigmoid": "",
    "TanH": "",
    "ELU": "",
    "Exp": "",
    "Swish": "",
    "BNLL": "",
    "Softmax": "",
    "ReLU": "",
    "Leaky": "",
    "ReLU6": "",
    "L2": 'layer { name: "l2" type: "Pooling" bottom: "a" top: "b" '
    "pooling_param { pool: L2 kernel_size: 2 } }",
    "PROD": 'layer { name: "sq" type: "Eltwise" bottom: "a" bottom: "a2" top: "b" '
    "eltwise_param { operation: PROD stable_prod_grad: false } }",
}
BY = ["Sigmoid", "PlainScale", "BatchNorm", "Power", "Dropout", "ReLU"]


@pytest.mark.parametrize("planned", [True, False])
@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("type", SPOILED)
def test_gradients_survive_layers_in_place(type, by, planned, monkeypatch):
    """Against the same net with a blob for every layer."""
    text = HEAD + conv("a", "x")
    if SPOILED[type]:
        text += conv("a2", "x") * (type == "PROD") + SPOILED[type] + on("b", by, "ReLU", by)
    else:
        text += 'layer { name: "b" type: "Power" bottom: "a" top: "b" }'
        text += on("b", type, by, "ReLU", by)
    text += TAIL % "b"
    net = build(text, planned, monkeypatch)
    param = text_format.Parse(text, caffe_pb2.NetParameter())
    last = {}
    for layer in param.layer:
        layer.bottom[:] = [last.get(name, name) for name in layer.bottom]
        for i, name in enumerate(layer.top):
            if name in last:
                layer.top[i] = f"{name}_{layer.name}"
            last[name] = layer.top[i]
    apart = build(text_format.MessageToString(param), planned, monkeypatch)
    for one in (net, apart):
        one.forward_backward()
    np.testing.assert_allclose(net.blobs["loss"].data, apart.blobs["loss"].data, rtol=1e-12)
    for one, other in zip(net.learnable, apart.learnable, strict=True):
        np.testing.assert_allclose(one.blob.diff, other.blob.diff, 1e-9, 1e-12)


def test_what_is_kept_apart_shows_between_the_layers(monkeypatch):
    text = HEAD + conv("a", "x") + on("a", "Sigmoid", "PlainScale") + TAIL % "a"
    net = build(text, True, monkeypatch)
    net.forward(end="a")
    given = net.blobs["a"].data.copy()
    net.forward(end="a_0")
    np.testing.assert_allclose(net.blobs["a"].data, 1 / (1 + np.exp(-given)))
    net.blobs["a"].data[...] = given
    net.forward(start="a_1", end="a_1")
    scale = net.params["a_1"][0].data[:, None, None]
    np.testing.assert_allclose(net.blobs["a"].data, scale * given)
