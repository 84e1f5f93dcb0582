"""Layers that serve nothing but what a stochastic sum leaves out: they do not run."""

import logging
from functools import partial

import numpy as np
import pytest
from google.protobuf import text_format

import caffelite
from caffelite.errors import NetError, SolverError
from caffelite.models.blocks import small, small_resnet
from caffelite.net_spec import NetSpec
from caffelite.net_spec import layers as L
from caffelite.net_spec import params as P
from caffelite.proto import caffe_pb2

BLOCKS = "1_1", "2_1", "3_1"
BRANCHES = "branch2a", "branch2b"


def text(operation=P.Eltwise.STOCHASTIC_SUM, survival=0.5):
    """A residual net of three blocks."""
    n = NetSpec()
    n.data, n.label = L.Input(shape={"dim": [4, 3, 8, 8]}), L.Input(shape={"dim": [4]})
    small_resnet(n, partial(small, operation=operation, coeff=[1, survival]), 8)
    return text_format.MessageToString(n.to_proto())


def build(more, phase=caffelite.TRAIN):
    param = text_format.Parse(more, caffe_pb2.NetParameter())
    param.state.phase = phase
    net = caffelite.Net.from_param(param, seed=3)
    fill(net)
    return net


def fill(net):
    generator = np.random.default_rng(5)
    net.blobs["data"].data[...] = generator.standard_normal(net.blobs["data"].shape)
    net.blobs["label"].data[...] = [0, 2, 1, 1]


def gone(net):
    """Names of the blocks that the last pass did without."""
    return [block for block in BLOCKS if not net.layer_dict[f"res{block}"].chosen[1]]


def passes(net, count=10):
    """Run passes, each of which leaves out other blocks; yields their names."""
    for _ in range(count):
        net.clear_param_diffs()
        net.forward_backward()
        yield gone(net)


def until(net, wanted):
    """Run forward until just these blocks are left out."""
    while True:
        net.forward()
        if gone(net) == wanted:
            return


def statistics(net, block):
    layers = (net.layer_dict[f"bn{block}_{branch}"] for branch in BRANCHES)
    return [blob.data.copy() for layer in layers for blob in layer.blobs]


def equal(arrays, others):
    return all(map(np.array_equal, arrays, others))


@pytest.mark.parametrize("plan", ["on", "off"])
@pytest.mark.parametrize("economize", [False, True])
def test_a_net_computes_what_one_does_that_multiplies_the_block_by_0(plan, economize, monkeypatch):
    monkeypatch.setenv("CAFFELITE_PLAN", plan)
    net, full = build(text()), build(text(P.Eltwise.SUM))
    if economize:
        net.economize()
    seen = set()
    for without in passes(net):
        seen.update(without)
        for block in BLOCKS:
            full.layer_dict[f"res{block}"].coeffs = [1, 0 if block in without else 1]
        full.clear_param_diffs()
        full.forward_backward()
        for name in ("res1_1", "res2_1", "res3_1", "loss"):
            np.testing.assert_array_equal(net.blobs[name].data, full.blobs[name].data)
        for entry, other in zip(net.learnable, full.learnable, strict=True):
            np.testing.assert_array_equal(entry.blob.diff, other.blob.diff)
    assert seen == set(BLOCKS)


def test_blobs_of_a_block_that_is_left_out_hold_0_and_its_statistics_stay():
    net = build(text())
    before = {block: statistics(net, block) for block in BLOCKS}
    for without in passes(net):
        for block in BLOCKS:
            runs = block not in without
            for branch in BRANCHES:
                blob = net.blobs[f"res{block}_{branch}"]
                weight, _ = net.params[f"scale{block}_{branch}"]
                assert blob.data.any() == blob.diff.any() == weight.diff.any() == runs
            after = statistics(net, block)
            assert equal(before[block], after) != runs
            before[block] = after


METHODS = "forward", "forward_with", "normalized", "backward", "backward_with", "gradients"


def test_layers_that_are_left_out_do_not_run(monkeypatch):
    net = build(text())
    ran = set()
    for layer in net.layers:
        for name in METHODS:
            if method := getattr(layer, name, None):
                monkeypatch.setattr(layer, name, partial(_note, ran, layer.name, method))
    for without in passes(net):
        for block in BLOCKS:
            for branch in BRANCHES:
                names = {f"res{block}_{branch}", f"bn{block}_{branch}"}
                assert names.isdisjoint(ran) if block in without else names <= ran
        ran.clear()


def _note(ran, name, method, *arguments, **options):
    ran.add(name)
    return method(*arguments, **options)


def test_the_same_seed_leaves_out_the_same():
    assert list(passes(build(text()), 5)) == list(passes(build(text()), 5))


def test_a_net_that_runs_piece_by_piece_computes_what_it_does_as_a_whole():
    whole, pieces = build(text()), build(text())
    for _ in passes(whole):
        pieces.clear_param_diffs()
        for step in pieces.steps:
            pieces._forward(step.first, step.last)
        for step in reversed(pieces.steps):
            pieces._backward(step.last, step.first)
        for a, b in zip(whole.learnable, pieces.learnable, strict=True):
            np.testing.assert_array_equal(a.blob.diff, b.blob.diff)
        assert equal(statistics(whole, "3_1"), statistics(pieces, "3_1"))


def test_a_pass_that_starts_behind_layers_that_were_left_out_goes_on_without_them():
    net = build(text())
    for wanted in ([], ["2_1"]):
        until(net, wanted)
        before, position = net.blobs["res2_1"].data.copy(), net.layer_dict["res2_1"].position
        for start in ("res2_1_branch2b", "res2_1"):
            net.forward(start=start)
            assert net.layer_dict["res2_1"].position == position
            np.testing.assert_array_equal(net.blobs["res2_1"].data, before)


def test_a_pass_that_starts_before_them_chooses_again():
    net = build(text())
    net.forward()
    position = net.layer_dict["res2_1"].position
    found = set()
    for _ in range(10):
        net.forward(start="conv1")
        found.add("2_1" in gone(net))
    assert found == {True, False} and net.layer_dict["res2_1"].position == position + 10


@pytest.mark.parametrize(
    "asked", [{"end": "res2_1_branch2b"}, {"blobs": ["res2_1_branch2b"]}], ids=str
)
def test_what_is_asked_for_runs_in_any_case(asked):
    net = build(text(survival=0))
    net.forward(**asked)
    assert net.blobs["res2_1_branch2b"].data.any()
    net.blobs["res2_1_branch2b"].diff[...] = 1
    net.backward(start="res2_1_branch2b")
    assert net.params["res2_1_branch2a"][0].diff.any()


def test_a_blob_that_is_optimized_for_runs_in_any_case():
    net = build("force_backward: true " + text(survival=0))
    options = dict(iterations=3, base_lr=0.1, loss={"res2_1_branch2a": 1})
    first, *_, last = caffelite.optimize(net, "data", **options)
    assert last < first


def test_a_gradient_is_not_lost_in_silence():
    net = build(text())
    until(net, ["2_1"])
    net.backward()
    net.blobs["res2_1_branch2b"].diff[...] = 1
    with pytest.raises(NetError, match=r'scale2_1_branch2b.*left out; forward\(blobs=\["res2_1_br'):
        net.backward(start="scale2_1_branch2b")


def test_callbacks_come_for_all_layers():
    net, plain = build(text()), build(text(P.Eltwise.SUM))
    heard = {net: [], plain: []}
    for each, calls in heard.items():
        for event in ("before_forward", "after_forward", "before_backward", "after_backward"):
            getattr(each, event)(
                lambda place, calls=calls, event=event: calls.append((event, place))
            )
    until(net, ["1_1", "3_1"])
    heard[net].clear()
    for each in heard:
        each.forward_backward()
    assert heard[net] == heard[plain]


def test_all_gradients_are_told_ready():
    net = build(text())
    ready = []
    net.on_gradients_ready(ready.extend)
    for _ in passes(net):
        weights = {blob for name, blobs in net.params.items() if name[:2] != "bn" for blob in blobs}
        assert set(ready) == weights and len(ready) == len(weights)
        ready.clear()


def test_debug_info_tells_of_layers_that_are_left_out(caplog):
    net = build("debug_info: true\n" + text(survival=0))
    with caplog.at_level(logging.INFO, "caffelite"):
        net.forward_backward()
    assert "[Forward] Layer bn2_1_branch2a is left out of this pass" in caplog.text
    assert "[Backward] Layer bn2_1_branch2a is left out of this pass" in caplog.text


def test_testing_runs_all_and_draws_nothing():
    net = build(text(), caffelite.TEST)
    net.forward()
    assert not any(node.left_out for node in net.nodes)
    assert not any(layer.position for layer in net.layers)


def test_a_shortcut_that_is_left_out_does_not_run():
    net = build(text().replace("coeff: 1.0", "coeff: 0.0"))
    net.forward()
    assert not net.blobs["res2_1_padded"].data.any() and net.blobs["res2_1_half"].data.size
    assert {node.layer.type for node in net.nodes if node.left_out} >= {"Pooling", "Concat"}


INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [4, 3] } } }' + (
    'layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 4 } } }'
    'layer { name: "u" type: "Power" bottom: "data" top: "u" power_param { scale: 2 } }'
    'layer { name: "v" type: "TanH" bottom: "u" top: "v" }'
)
NEVER = "eltwise_param { operation: STOCHASTIC_SUM coeff: 1 coeff: 0 }"
SUM = f'layer {{ name: "s" type: "Eltwise" bottom: "data" bottom: "v" top: "s" {NEVER} }}'


def left_out(net):
    return [node.layer.name for node in net.nodes if node.left_out]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("", ["u", "v"]),
        ('layer { name: "q" type: "Silence" bottom: "v" }', []),
        ('layer { name: "q" type: "Power" bottom: "u" top: "q" }', ["v"]),  # an output of the net
        ('layer { name: "q" type: "EuclideanLoss" bottom: "u" bottom: "data" top: "q" }', ["v"]),
    ],
)
def test_what_somebody_else_reads_runs(more, expected):
    net = build(INPUT + SUM + more)
    net.forward()
    assert [name for name in left_out(net) if len(name) == 1] == expected


def test_what_counts_as_a_loss_runs():
    net = build(INPUT.replace('top: "v"', 'top: "v" loss_weight: 1') + SUM)
    net.forward()
    assert left_out(net) == []


def test_data_go_on():
    net = build(
        INPUT
        + 'layer { name: "d" type: "DummyData" top: "d" dummy_data_param { shape { dim: [4, 3] } '
        + 'data_filler { type: "gaussian" } } }'
        + SUM.replace('"v"', '"d"')
    )
    for count in (1, 2):
        net.forward()
        assert left_out(net) == [] and net.layer_dict["d"].position == count


def test_a_blob_that_a_layer_left_out_shares_is_not_overwritten():
    """Flatten's top is its bottom's memory, and a layer in place works on that of another one."""
    net = build(
        INPUT.replace('"TanH"', '"Flatten"').replace('bottom: "u"', 'bottom: "data"')
        + 'layer { name: "w" type: "ReLU" bottom: "v" top: "v" }'
        + f'layer {{ name: "s" type: "Eltwise" bottom: "data" bottom: "v" top: "s" {NEVER} }}'
    )
    net.forward()
    assert {"v", "w"} <= set(left_out(net)) and net.blobs["data"].data.any()
    np.testing.assert_array_equal(net.blobs["s"].data, net.blobs["data"].data)


def test_a_sum_inside_of_what_is_left_out_draws_as_ever():
    """So what it leaves out later does not hang on what others leave out."""
    half = NEVER.replace("coeff: 0", "coeff: 0.5")
    net = build(
        INPUT
        + f'layer {{ name: "r" type: "Eltwise" bottom: "data" bottom: "v" top: "r" {half} }}'
        + 'layer { name: "n" type: "Dropout" bottom: "r" top: "r" }'
        + SUM.replace('"v"', '"r"')
    )
    for count in (1, 2, 3):
        net.forward()
        assert {"u", "v", "r", "n"} <= set(left_out(net))
        assert net.layer_dict["r"].position == net.layer_dict["s"].position == count
        assert net.layer_dict["n"].position == 0  # Dropout, which has a stream of its own
    np.testing.assert_array_equal(net.blobs["s"].data, net.blobs["data"].data)


def test_a_sum_of_nothing_is_0():
    net = build("force_backward: true " + INPUT + SUM.replace("coeff: 1", "coeff: 0"))
    net.forward()
    for name in ("s", "data"):
        net.blobs[name].diff[...] = 1
    net.backward()
    assert not net.blobs["s"].data.any() and not net.blobs["data"].diff.any()


def test_what_is_not_finite_in_a_block_that_is_left_out_does_no_harm():
    net = build(text())
    net.params["res2_1_branch2a"][0].data[...] = np.nan
    until(net, ["2_1"])
    net.backward()
    assert np.isfinite(net.blobs["loss"].data)
    assert all(np.isfinite(entry.blob.diff).all() for entry in net.learnable)


def test_a_gradient_that_is_not_finite_stays_outside_of_what_is_left_out():
    net = build(text())
    net.params["fc10"][0].data[...] = np.nan
    until(net, ["2_1"])
    net.backward()
    assert not net.params["res2_1_branch2a"][0].diff.any()


@pytest.mark.parametrize("iter_size", [1, 2])
def test_weights_that_are_left_out_keep_their_momentum_and_decay(tmp_path, iter_size):
    """As in the authors' code: there one update goes over all weights, with gradients of 0."""
    (tmp_path / "net.prototxt").write_text(text(survival=0))
    (tmp_path / "solver.prototxt").write_text(
        f'net: "{tmp_path}/net.prototxt" base_lr: 0.5 momentum: 0.9 weight_decay: 0.1 '
        f'lr_policy: "fixed" iter_size: {iter_size} random_seed: 2 max_iter: 3'
    )
    solver = caffelite.get_solver(str(tmp_path / "solver.prototxt"))
    fill(solver.net)
    blob = solver.net.params["res2_1_branch2a"][0]
    w = blob.data.astype(float)
    step = 0.0
    for _ in range(3):
        solver.step(1)
        step = 0.9 * step + 0.5 * 0.1 * w
        w = w - step
        np.testing.assert_allclose(blob.data, w, rtol=1e-5)
    assert solver.net.layer_dict["res2_1"].position == 3 * iter_size


def test_a_run_taken_up_again_leaves_out_what_it_would_have(tmp_path):
    (tmp_path / "net.prototxt").write_text(text())
    (tmp_path / "solver.prototxt").write_text(
        f'net: "{tmp_path}/net.prototxt" base_lr: 0.01 lr_policy: "fixed" random_seed: 2 '
        f'max_iter: 9 snapshot_prefix: "{tmp_path}/s"'
    )
    first, second = (caffelite.get_solver(str(tmp_path / "solver.prototxt")) for _ in range(2))
    for solver in (first, second):
        fill(solver.net)
    first.step(4)
    first.snapshot()
    second.restore(str(tmp_path / "s_iter_4.solverstate"))
    for solver in (first, second):
        solver.step(5)
    for a, b in zip(first.net.layers, second.net.layers, strict=True):
        assert equal([blob.data for blob in a.blobs], [blob.data for blob in b.blobs])


# A blob that is learned


def test_optimize_tells_of_a_block_that_is_left_out():
    """Passes from behind the choice stand by it: the blob would never move."""
    net = build("force_backward: true " + text())
    options = dict(iterations=3, base_lr=1, loss={"res3_1": 1})
    until(net, ["2_1"])
    with pytest.raises(SolverError, match=r"res2_1_branch2a.*\"res2_1\" left out.*phase TEST"):
        caffelite.optimize(net, "res2_1_branch2a", **options)
    caffelite.optimize(net, "res2_1_branch2a", **{**options, "loss": {"res2_1_branch2b": 1}})
    caffelite.optimize(net, "res1_1", **options)
    until(net, ["3_1"])
    before = net.blobs["res2_1_branch2a"].data.copy()
    caffelite.optimize(net, "res2_1_branch2a", **options)
    assert not np.array_equal(net.blobs["res2_1_branch2a"].data, before)
