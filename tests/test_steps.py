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
        "PlainScale": 'scale_param { filler { type: "gaussian" mean: 1 std: 0.5 } }',
        "Leaky": "relu_param { negative_slope: 0.1 }",
        "Opposite": "power_param { scale: -1 }",
    }
    names = {"Global": "BatchNorm", "PlainScale": "Scale", "Leaky": "ReLU", "Opposite": "Power"}
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
    assert not alone._steps.chains and not alone._steps.apart
    for net in (planned, alone):
        for _ in range(2):
            net.clear_param_diffs()
            net.forward_backward()
    assert_same(planned, alone)


@pytest.mark.parametrize("name", NETS)
def test_nets_that_run_forward_only_give_the_same_outputs(name, monkeypatch):
    planned, alone = (build(NETS[name], on, monkeypatch, caffelite.TEST) for on in (True, False))
    planned.economize(forward_only=True)
    for net in (planned, alone):
        net.forward()
    np.testing.assert_allclose(planned.blobs["loss"].data, alone.blobs["loss"].data, rtol=1e-12)


def test_a_convolution_takes_fixed_statistics_along(monkeypatch):
    net = build(RESIDUAL, True, monkeypatch, caffelite.TEST)
    assert {net.layers[head].name for head in net._steps.chains} == {"a_0", "b_0", "sum"}
    net.economize(forward_only=True)
    found = {
        net.layers[head].name: [node.layer.name for node in followers]
        for head, followers in net._steps.chains.items()
    }
    assert found == {"a": ["a_0", "a_1", "a_2"], "b": ["b_0", "b_1"], "sum": ["sum_0"]}
    assert not net._steps.apart


def test_float32_agrees_within_rounding(monkeypatch):
    nets = [build(RESIDUAL, on, monkeypatch, dtype=np.float32) for on in (True, False)]
    for net in nets:
        net.forward_backward()
    assert_same(*nets, tolerance=2e-5)


def test_chains_are_what_the_net_says(monkeypatch):
    steps = build(RESIDUAL, True, monkeypatch)._steps
    found = {
        steps.nodes[head].layer.name: [node.layer.name for node in followers]
        for head, followers in steps.chains.items()
    }
    assert found == {"a_0": ["a_1", "a_2"], "b_0": ["b_1"], "sum": ["sum_0"]}
    assert [[steps.nodes[i].layer.name for i in apart.writers] for apart in steps.apart] == [
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
    assert nets[0].chains and nets[0]._steps.apart
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


def test_a_watched_net_runs_layer_by_layer(monkeypatch):
    nets = [build(RESIDUAL, on, monkeypatch) for on in (True, False)]
    seen = []
    for net in nets:
        net.after_forward(lambda i, net=net: seen.append(net.blobs["a"].data.copy()))
        net.forward_backward()
    half = len(seen) // 2
    assert half == len(nets[0].layers)
    for a, b in zip(seen[:half], seen[half:], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    assert_same(*nets)


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
