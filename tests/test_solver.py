"""Solver: schedules, updates, testing, snapshots, resuming, log lines, mistakes."""

import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

import caffelite
from caffelite.errors import CaffeliteError, SolverError
from caffelite.proto import caffe_pb2
from caffelite.solver import lr_policy, nets, regularize
from caffelite.solver.rules import RULES

NET = """
name: "noise"
layer { name: "data" type: "DummyData" top: "data" top: "target"
  dummy_data_param { shape { dim: 8 dim: 5 } shape { dim: 8 dim: 2 }
    data_filler { type: "gaussian" std: 1 } data_filler { type: "uniform" min: -1 max: 1 } } }
layer { name: "ip1" type: "InnerProduct" bottom: "data" top: "ip1" param { lr_mult: 1 }
  param { lr_mult: 2 decay_mult: 0 }
  inner_product_param { num_output: 6 weight_filler { type: "xavier" } } }
layer { name: "drop" type: "Dropout" bottom: "ip1" top: "ip1" }
layer { name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "ip2" bottom: "target" top: "loss" }
"""

CARRYING = """
name: "endless sequences"
layer { name: "data" type: "DummyData" top: "x" top: "cont" top: "target" dummy_data_param {
    shape { dim: 3 dim: 2 dim: 4 } shape { dim: 3 dim: 2 } shape { dim: 3 dim: 2 dim: 5 }
    data_filler { type: "gaussian" } data_filler { value: 1 } data_filler { type: "gaussian" } } }
layer { name: "rnn" type: "RNN" bottom: "x" bottom: "cont" top: "rnn"
  recurrent_param { num_output: 6 weight_filler { type: "xavier" } } }
layer { name: "lstm" type: "LSTM" bottom: "rnn" bottom: "cont" top: "lstm"
  recurrent_param { num_output: 7 weight_filler { type: "xavier" } } }
layer { name: "gru" type: "GRU" bottom: "lstm" bottom: "cont" top: "gru"
  gru_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "gru" bottom: "target" top: "loss" }
"""


def param(text="", net=NET):
    defaults = 'base_lr: 0.1 lr_policy: "fixed" max_iter: 10 random_seed: 3 snapshot_prefix: "s"'
    solver = text_format.Parse(defaults, caffe_pb2.SolverParameter())
    text_format.Merge(net, solver.net_param)
    return text_format.Merge(text, solver)


def weights(solver):
    return [entry.blob.data.copy() for entry in solver.net.learnable]


def same(one, two):
    return all((a == b).all() for a, b in zip(weights(one), weights(two), strict=True))


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def lines(caplog):
    caplog.set_level("INFO", "caffelite")
    return lambda: [record.getMessage() for record in caplog.records]


# Which nets, in which state


TOLD = (
    NET
    + """
layer { name: "deep" type: "Silence" bottom: "ip2" include { min_level: 2 } }
layer { name: "one" type: "Silence" bottom: "ip2" include { stage: "one" } }
layer { name: "two" type: "Silence" bottom: "ip2" include { stage: "one" stage: "two" } }
layer { name: "testing" type: "Silence" bottom: "ip2" include { phase: TEST } }
"""
)


def told(net):
    return {"deep", "one", "two", "testing"} & set(net._layer_names)


def test_the_solvers_state_comes_after_that_of_the_net():
    """Its phase and level go before the net's; stages add up."""
    text = 'test_iter: [1, 1] test_interval: 9 train_state { stage: "two" } test_state { level: 1 }'
    text += "test_state { phase: TRAIN }"
    net = TOLD + 'state { phase: TEST level: 2 stage: "one" }'
    solver = caffelite.get_solver(param(text, net))
    assert told(solver.net) == {"deep", "one", "two", "testing"}
    assert [told(net) for net in solver.test_nets] == [{"one", "testing"}, {"deep", "one"}]
    plain = caffelite.get_solver(param("test_iter: 1 test_interval: 9", TOLD))
    assert (told(plain.net), told(plain.test_nets[0])) == (set(), {"testing"})


def named(name):
    return NET.replace("noise", name)


def test_nets_to_test_are_those_inline_those_of_files_then_the_common_one():
    Path("net.prototxt").write_text(named("of a file"))
    text = 'test_net: "net.prototxt" test_interval: 9 test_iter: [1, 2, 3, 4] '
    text += f"test_net_param {{ {named('inline')} }}"
    solver = caffelite.get_solver(param(text))
    assert [net.name for net in solver.test_nets] == ["inline", "of a file", "noise", "noise"]


@pytest.mark.parametrize("field", ["net", "train_net"])
def test_a_net_may_be_in_a_file(field):
    Path("net.prototxt").write_text(NET)
    solver = param(f'{field}: "net.prototxt"')
    solver.ClearField("net_param")
    assert caffelite.get_solver(solver).net.name == "noise"


def test_a_net_to_train_needs_the_nets_to_test_given_apart():
    solver = param(f"train_net_param {{ {NET} }} test_iter: 1 test_interval: 9")
    solver.ClearField("net_param")
    with pytest.raises(SolverError, match="has 1 test_iter entries, expected .* the 0 test nets"):
        caffelite.get_solver(solver)
    solver.ClearField("train_net_param")
    with pytest.raises(SolverError, match="exactly one of .* not none"):
        caffelite.get_solver(solver)


def test_weights_go_to_all_nets_in_order():
    for index, value in enumerate((1, 2)):
        solver = caffelite.get_solver(param())
        solver.net.params[f"ip{index + 1}"][0].data[...] = value
        solver.net.params["ip2"][1].data[...] = value
        solver.net.save(f"{index}.caffemodel")
    text = 'weights: "0.caffemodel , 1.caffemodel" weights: "0.caffemodel"'
    solver = caffelite.get_solver(param(text + "test_iter: 1 test_interval: 9"))
    for net in (solver.net, solver.test_nets[0]):
        assert (net.params["ip1"][0].data == 1).all() and (net.params["ip2"][1].data == 1).all()


# Schedules


@pytest.mark.parametrize(
    "policy, i, expected",
    [
        ('lr_policy: "fixed"', 7, 0.1),
        ('lr_policy: "step" gamma: 0.5 stepsize: 3', 7, 0.1 * 0.25),
        ('lr_policy: "exp" gamma: 0.9', 7, 0.1 * 0.9**7),
        ('lr_policy: "inv" gamma: 0.1 power: 0.75', 7, 0.1 * 1.7**-0.75),
        ('lr_policy: "poly" power: 2 max_iter: 10', 7, 0.1 * 0.3**2),
        ('lr_policy: "sigmoid" gamma: 0.5 stepsize: 5', 7, 0.1 / (1 + math.exp(-1))),
        ('lr_policy: "sigmoid" gamma: 1 stepsize: 100000', 7, 0),
        ('lr_policy: "plateau" gamma: 0.5 test_iter: 1 test_interval: 1', 7, 0.1),
        ('lr_policy: "poly" power: 2 max_iter: 10 min_lr: 0.02', 7, 0.02 + 0.08 * 0.3**2),
        ('lr_policy: "exp" gamma: 0.5 min_lr: 0.02', 2, 0.025),
        ('lr_policy: "exp" gamma: 0.5 min_lr: 0.02', 3, 0.02),
        ('lr_policy: "fixed" warmup_iter: 8', 0, 0),
        ('lr_policy: "fixed" warmup_iter: 8', 6, 0.075),
        ('lr_policy: "fixed" warmup_iter: 8 warmup_start_lr: 0.04', 2, 0.055),
        ('lr_policy: "exp" gamma: 0.5 warmup_iter: 2', 2, 0.025),
    ],
)
def test_schedules(policy, i, expected):
    rate, _ = lr_policy.rate_at(param(policy), i, 0)
    assert rate == pytest.approx(expected, rel=1e-6) and type(rate) is float


@pytest.mark.parametrize(
    "policy, message",
    [
        ('lr_policy: ""', "lr_policy is not set; expected one of .*, fixed, "),
        ('lr_policy: "stepp"', 'unknown "stepp"; did you mean "step"'),
        ('lr_policy: "step" gamma: 0.1', "stepsize above 0, not 0"),
        ('lr_policy: "sigmoid" gamma: 0.1', "stepsize above 0, not 0"),
        *(
            (f'lr_policy: "{policy}" gamma: -5 stepsize: 5', "gamma of at least 0, not -5")
            for policy in ("step", "exp", "inv", "multistep", "sigmoid", "plateau")
        ),
        ('lr_policy: "plateau" patience: 0', "patience above 0, not 0"),
        ('lr_policy: "plateau" plateau_winsize: 0', "plateau_winsize: 0, expected iterations, at"),
        ('lr_policy: "poly" power: 0.5', '"poly" gives the rate nan at iteration 20'),
        ('lr_policy: "poly" power: 1 max_iter: 0', '"poly" gives the rate -inf'),
        ('lr_policy: "exp" gamma: 1e30', '"exp" gives the rate inf'),
        ('lr_policy: "step" gamma: 1e30 stepsize: 1', '"step" gives the rate inf'),
        ("base_lr: nan", '"fixed" gives the rate nan'),
        ("base_lr: nan warmup_iter: 30", '"fixed" gives the rate nan'),
        ("warmup_iter: -1", "warmup_iter must be a number of at least 0, not -1"),
        ("warmup_start_lr: -0.5", "warmup_start_lr must be a number of at least 0, not -0.5"),
        ("min_lr: 0.25", "min_lr, 0.25, is above base_lr, 0.1"),
        ("min_lr: nan", "min_lr must be a number of at least 0, not nan"),
    ],
)
def test_schedules_without_a_rate_are_refused(policy, message):
    with pytest.raises(SolverError, match=message):
        lr_policy.rate_at(param(policy), 20, 0)


def test_multistep_moves_on_by_one_step_an_evaluation(lines):
    solver = caffelite.get_solver(
        param('lr_policy: "multistep" gamma: 0.1 stepvalue: 2 stepvalue: 3 stepvalue: 3')
    )
    solver.iter = 3
    rates = [solver.lr for _ in range(4)]
    assert rates == pytest.approx([1e-2, 1e-3, 1e-4, 1e-4])
    assert "MultiStep Status: Iteration 3, step = 2" in lines()


# Regularization


def test_gradients_are_clipped_by_their_common_norm(lines):
    diffs = [np.array([3.0]), np.array([4.0])]
    regularize.clip(diffs, 1.0)
    assert np.concatenate(diffs) == pytest.approx([0.6, 0.8])
    assert lines() == [
        "Gradient clipping: scaling down gradients (L2 norm 5 > 1) by scale factor 0.2"
    ]
    regularize.clip(diffs, 2.0)
    regularize.clip(diffs, -1.0)
    assert np.concatenate(diffs) == pytest.approx([0.6, 0.8])
    regularize.clip(diffs, 0.0)
    assert not np.concatenate(diffs).any()


def test_decay_is_l2_or_l1():
    data = np.array([-2.0, 0.0, 4.0])
    for kind, expected in (("L2", [-0.2, 0, 0.4]), ("L1", [-0.1, 0, 0.1])):
        diff = np.zeros(3)
        regularize.decay(diff, data, 0.1, kind)
        assert diff == pytest.approx(expected)


# The update rules, against their formulas in float64


def expected_updates(kind, gradients, rate, m, extra):
    w, h, h2 = 0.0, 0.0, 0.0
    delta = extra.get("delta", 1e-8)
    for t, g in enumerate(gradients, 1):
        if kind == "SGD":
            h = rate * g + m * h
            w -= h
        elif kind == "Nesterov":
            before, h = h, rate * g + m * h
            w -= (1 + m) * h - m * before
        elif kind == "AdaGrad":
            h += g * g
            w -= rate * g / (math.sqrt(h) + delta)
        elif kind == "RMSProp":
            h = extra["decay"] * h + (1 - extra["decay"]) * g * g
            w -= rate * g / (math.sqrt(h) + delta)
        elif kind == "AdaDelta":
            h = m * h + (1 - m) * g * g
            u = g * math.sqrt((delta + h2) / (delta + h))
            h2 = m * h2 + (1 - m) * u * u
            w -= rate * u
        elif kind == "Adam":
            h = m * h + (1 - m) * g
            h2 = 0.999 * h2 + 0.001 * g * g
            correction = math.sqrt(1 - 0.999**t) / (1 - m**t)
            w -= rate * correction * h / (math.sqrt(h2) + delta)
    return w


@pytest.mark.parametrize(
    "kind, options, extra",
    [
        ("SGD", "momentum: 0.9", {}),
        ("Nesterov", "momentum: 0.9", {}),
        ("AdaGrad", "delta: 0.01", {"delta": 0.01}),
        ("RMSProp", "rms_decay: 0.8", {"decay": 0.8}),
        ("AdaDelta", "momentum: 0.9 delta: 1e-3", {"delta": 1e-3}),
        ("Adam", "momentum: 0.9", {}),
    ],
)
def test_update_rules(kind, options, extra):
    solver = caffelite.get_solver(param(f'type: "{kind}" {options}'))
    blob = solver.net.params["ip2"][0]
    blob.data[...] = 0
    gradients = [1.0, -0.5, 2.0, 0.25]
    for g in gradients:
        solver.net.clear_param_diffs()
        blob.diff[...] = g
        solver.apply_update()
    m = solver.param.momentum
    assert solver.iter == 4
    np.testing.assert_allclose(
        blob.data, expected_updates(kind, gradients, 0.1, m, extra), rtol=1e-5
    )


@pytest.mark.parametrize("kind", ["SGD", "Nesterov"])
def test_momentum_of_the_course_and_of_pytorch_has_the_rate_outside(kind):
    """D = beta D + g, theta -= eta D, with a rate that falls to a tenth after two steps."""
    text = f'type: "{kind}" momentum: 0.9 weight_decay: 0.1 rate_in_history: false snapshot: 3 '
    text += 'lr_policy: "step" gamma: 0.1 stepsize: 2'
    gradients, blobs = [1.0, -0.5, 2.0, 0.25], []
    solver = caffelite.get_solver(param(text))

    def run(gradients):
        blob = solver.net.params["ip2"][0]
        for g in gradients:
            solver.net.clear_param_diffs()
            blob.diff[...] = g
            solver.apply_update()
            blobs.append(blob.data[0, 0].item())

    solver.net.params["ip2"][0].data[...] = 0.5
    run(gradients[:3])
    solver.snapshot()
    solver = caffelite.get_solver(param(text))
    solver.restore("s_iter_3.solverstate")
    run(gradients[3:])
    theta, delta, expected = 0.5, 0, []
    for eta, g in zip([0.1, 0.1, 0.01, 0.01], gradients, strict=True):
        g += 0.1 * theta
        delta = 0.9 * delta + g
        theta -= eta * (delta if kind == "SGD" else g + 0.9 * delta)
        expected.append(theta)
    np.testing.assert_allclose(blobs, expected, rtol=1e-5)
    np.testing.assert_allclose(blobs, steps_of_pytorch(kind, 0.5, gradients), rtol=1e-5)


@pytest.mark.parametrize("snapshot_format", ["BINARYPROTO", "HDF5"])
@pytest.mark.parametrize("written", ["true", "false"])
def test_a_snapshot_with_the_other_history_is_refused(written, snapshot_format):
    """Its steps would be too small or too large by a factor of the learning rate."""
    other = {"true": "false", "false": "true"}[written]

    def solver_of(option, momentum=0.9):
        text = f'lr_policy: "fixed" momentum: {momentum} rate_in_history: {option}'
        return caffelite.get_solver(param(f"{text} snapshot_format: {snapshot_format}"))

    first = solver_of(written)
    first.net.params["ip2"][0].diff[...] = 1
    first.apply_update()
    _, state = first.snapshot()
    solver_of(written).restore(state)
    with pytest.raises(SolverError, match=f"rate_in_history: {written}, expected {other}"):
        solver_of(other).restore(state)
    solver_of(other, momentum=0).restore(state)  # which does not read it


def steps_of_pytorch(kind, start, gradients):
    torch = pytest.importorskip("torch")
    theta, steps = torch.tensor(start, requires_grad=True), []
    sgd = torch.optim.SGD(
        [theta], lr=0.1, momentum=0.9, weight_decay=0.1, nesterov=kind == "Nesterov"
    )
    schedule = torch.optim.lr_scheduler.StepLR(sgd, 2)
    for g in gradients:
        theta.grad = torch.tensor(g)
        sgd.step()
        schedule.step()
        steps.append(theta.item())
    return steps


def test_lr_mult_and_decay_mult_apply_by_blob():
    solver = caffelite.get_solver(param("weight_decay: 0.5"))
    weight, bias = solver.net.params["ip1"]
    weight.data[...], bias.data[...] = 1, 1
    weight.diff[...], bias.diff[...] = 1, 1
    solver.apply_update()
    np.testing.assert_allclose(weight.data, 1 - 0.1 * 1.5, rtol=1e-6)
    np.testing.assert_allclose(bias.data, 1 - 0.2, rtol=1e-6)


def test_what_is_frozen_goes_on_by_its_history():
    """After resuming, too, where nothing has looked at the gradient yet."""
    solver = caffelite.get_solver(param("momentum: 0.5"))
    blob = solver.net.params["ip2"][0]
    blob.diff[...] = 1
    solver.apply_update()
    _, state = solver.snapshot()
    frozen = NET.replace(
        'bottom: "ip1" top: "ip2"', 'bottom: "ip1" top: "ip2" param { lr_mult: 0 }'
    )
    resumed = caffelite.get_solver(param("momentum: 0.5", frozen))
    resumed.restore(state)
    resumed.step(2)
    np.testing.assert_allclose(resumed.net.params["ip2"][0].data, blob.data - 0.05 - 0.025, 1e-5)


def test_iter_size_averages_gradients_and_loss():
    net = """
    layer { name: "d" type: "DummyData" top: "x" top: "t"
      dummy_data_param { shape { dim: 2 dim: 3 } data_filler { value: 1 } data_filler { } } }
    layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param {
      num_output: 3 weight_filler { value: 0.1 } } }
    layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }
    """
    one = caffelite.get_solver(param("", net))
    four = caffelite.get_solver(param("iter_size: 4", net))
    one.step(3)
    four.step(3)
    for a, b in zip(weights(one), weights(four), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


# The loop


def test_the_same_seed_gives_the_same_bits():
    one, two = (caffelite.get_solver(param("momentum: 0.9")) for _ in range(2))
    one.step(5)
    two.step(2)
    two.step(3)
    assert same(one, two)
    other = caffelite.get_solver(param("random_seed: 4"))
    other.step(5)
    assert not same(one, other)


TESTED = "test_iter: 2 test_interval: 4 test_compute_loss: true display: 2 average_loss: 2"


def test_log_lines_are_caffes(lines):
    caffelite.get_solver(param(TESTED)).solve()
    text = lines()
    assert "Solving noise" in text
    assert "Learning Rate Policy: fixed" in text
    assert text.count("Iteration 4, Testing net (#0)") == 1
    at = text.index("Iteration 4, Testing net (#0)")
    assert re.fullmatch(r"Test loss: [\d.e-]+", text[at + 1])
    number = r"([\d.e-]+)"
    match = re.fullmatch(
        rf"    Test net output #0: loss = {number} \(\* 1 = {number} loss\)", text[at + 2]
    )
    assert match[1] == match[2]
    assert re.fullmatch(
        rf"Iteration 4 \({number} iter/s, {number}s/2 iters\), loss = {number}", text[at + 3]
    )
    assert re.fullmatch(
        rf"    Train net output #0: loss = {number} \(\* 1 = {number} loss\)", text[at + 4]
    )
    assert text[at + 5] == "Iteration 4, lr = 0.1"
    assert re.fullmatch(rf"Iteration 10, loss = {number}", text[-2])
    assert text[-1] == "Optimization Done."
    assert [line for line in text if "Testing" in line] == [
        f"Iteration {i}, Testing net (#0)" for i in (0, 4, 8)
    ]


def test_the_displayed_loss_is_averaged(lines):
    """Over this call of step or solve, and in the line after the last iteration, too."""
    solver = caffelite.get_solver(param("display: 1 average_loss: 3 max_iter: 6"))
    losses = []
    solver.net.after_forward(
        lambda i: (
            i == len(solver.net.layers) - 1 and losses.append(solver.net.blobs["loss"].data + 0)
        )
    )
    solver.step(1)
    solver.solve()
    shown = [float(t.rsplit("= ")[-1]) for t in lines() if re.match(r".*(s/1 iters\)|\d), loss", t)]
    first, *rest = losses
    expected = [first, *(np.mean(rest[max(0, i - 2) : i + 1]) for i in range(6))]
    assert shown == pytest.approx(expected, rel=1e-4)


def test_a_negative_interval_counts_as_its_amount(lines):
    solver = caffelite.get_solver(param("display: -2 snapshot: -5"))
    solver.solve()
    assert [int(t.split()[1]) for t in lines() if "iter/s" in t] == [0, 2, 4, 6, 8]
    assert sorted(Path().glob("*.solverstate")) == [
        Path("s_iter_10.solverstate"),
        Path("s_iter_5.solverstate"),
    ]


def test_an_update_by_hand_tells_its_rate(lines):
    solver = caffelite.get_solver(param("display: 2"))
    for _ in range(3):
        assert solver.apply_update() == pytest.approx(0.1)
    assert lines()[-2:] == ["Iteration 0, lr = 0.1", "Iteration 2, lr = 0.1"]


CHANGING = """
layer { name: "d" type: "DummyData" top: "x" top: "some" dummy_data_param {
  shape { dim: 9 dim: 3 } shape { dim: 9 } data_filler { type: "uniform" min: -1 max: 1 } } }
layer { name: "which" type: "Threshold" bottom: "some" top: "which" }
layer { name: "found" type: "Filter" bottom: "x" bottom: "which" top: "found" }
"""


def test_outputs_that_change_their_shape_have_no_mean():
    solver = caffelite.get_solver(param("test_iter: 20 test_interval: 5", CHANGING))
    message = r'the output "found" has the shape \(\d, 3\) in batch \d, expected \(\d, 3\)'
    with pytest.raises(CaffeliteError, match=message):
        solver.test()


def test_tests_of_no_batches_show_nothing(lines):
    """As in Caffe, where old solvers have test_iter: 0 to have no tests."""
    caffelite.get_solver(param("test_iter: 0 test_interval: 5")).solve()
    assert lines().count("Iteration 5, Testing net (#0)") == 1
    assert not any("Test net output" in line for line in lines())


@pytest.mark.parametrize("text, first", [("", 0), ("test_initialization: false", 4)])
def test_the_test_before_training_can_be_left_out(text, first):
    tests = []
    solver = caffelite.get_solver(param(f"test_iter: 1 test_interval: 4 {text}"))
    solver.add_listener(lambda e: e["event"] == "test" and tests.append(e["iteration"]))
    solver.solve()
    assert tests == list(range(first, 10, 4))


@pytest.mark.parametrize(
    "text, iterations",
    [("", [10]), ("snapshot: 4", [4, 8, 10]), ("snapshot: 5", [5, 10])]
    + [("snapshot: 4 snapshot_after_train: false", [4, 8]), ("snapshot_after_train: false", [])],
)
def test_training_ends_with_one_snapshot(text, iterations):
    solver = caffelite.get_solver(param(text))
    taken = []
    solver.add_listener(lambda e: e["event"] == "snapshot" and taken.append(e["iteration"]))
    solver.solve()
    assert taken == iterations


def test_a_test_goes_on_where_the_last_one_ended():
    solver = caffelite.get_solver(param("test_iter: 3 test_interval: 4"))
    solver.test_nets[0].layers[0].close()
    batches = []
    net = solver.test_nets[0]
    net.after_forward(lambda i: i == 0 and batches.append(net.blobs["data"].data.copy()))
    solver.step(5)
    assert len(batches) == 6 and len({batch.tobytes() for batch in batches}) == 6


def test_debug_info_is_for_displayed_iterations_and_tests(lines):
    """What the net's own file says of it does not count."""
    text = "debug_info: true display: 2 test_iter: 1 test_interval: 3 test_initialization: false"
    caffelite.get_solver(param(text)).step(4)
    said = [t.split("]")[0].split("[")[-1] for t in lines() if "[Forward] Layer loss" in t]
    assert len(said) == 2 + 1, "iterations 0 and 2, and the test of iteration 3"
    seen = len(lines())
    text = "display: 1 test_iter: 1 test_interval: 1"
    caffelite.get_solver(param(text, NET + "debug_info: true")).step(1)
    assert not any("[Forward]" in t for t in lines()[seen:])


def test_callbacks_come_after_tests_and_around_gradients():
    solver = caffelite.get_solver(param("test_iter: 1 test_interval: 1 iter_size: 2"))
    seen = []
    solver.add_listener(lambda e: seen.append(e["event"]))
    solver.net.before_forward(lambda i: i == 0 and seen.append("forward"))
    solver.add_callback(lambda: seen.append("start"), lambda: seen.append("gradients"))
    solver.step(1)
    assert seen == ["test", "start", "forward", "forward", "gradients", "step"]


def test_gradients_of_a_step_are_ready_in_the_last_of_iter_size_passes():
    solver = caffelite.get_solver(param("iter_size: 3"))
    passes, told = [], []
    solver.net.before_backward(lambda i: i == 0 and passes.append(i))
    solver.net.on_gradients_ready(lambda blobs: told.extend((len(passes), b) for b in blobs))
    solver.add_callback(on_gradients_ready=lambda: told.append("all"))
    solver.step(2)
    blobs = [entry.blob for entry in solver.net.learnable]
    assert told.pop() == told.pop(len(blobs)) == "all"
    assert [number for number, _ in told] == [2] * len(blobs) + [5] * len(blobs)
    assert {id(blob) for _, blob in told} == {id(blob) for blob in blobs}


def test_events_tell_all():
    solver = caffelite.get_solver(param(TESTED + " snapshot: 5"))
    events = []
    solver.add_listener(events.append)
    solver.solve()
    kinds = [event["event"] for event in events]
    assert kinds.count("step") == 10 and kinds.count("train") == 5 and kinds.count("test") == 3
    assert kinds[-1] == "done"
    train = next(event for event in events if event["event"] == "train")
    assert train["lr"] == pytest.approx(0.1) and list(train["outputs"]) == ["loss"]
    assert [e["iteration"] for e in events if e["event"] == "snapshot"] == [5, 10]
    step = next(event for event in events if event["event"] == "step")
    assert step["images"] == 8


def test_test_nets_see_the_trained_weights():
    solver = caffelite.get_solver(param("test_iter: 1 test_interval: 100"))
    solver.step(3)
    solver.test()
    for name, blobs in solver.net.params.items():
        for mine, theirs in zip(blobs, solver.test_nets[0].params[name], strict=True):
            assert np.shares_memory(mine.data, theirs.data)


def test_stored_statistics_that_are_to_be_used_and_are_missing_are_told_once(lines):
    norms = "".join(
        f'layer {{ name: "bn{i}" type: "BatchNorm" bottom: "ip1" top: "ip1" '
        "batch_norm_param { use_global_stats: true } }"
        for i in range(2)
    )
    before = 'layer { name: "drop"'
    solver = caffelite.get_solver(param("base_lr: 1e-12", NET.replace(before, norms + before)))
    solver.step(1)
    solver.step(1)
    (line,) = [line for line in lines() if "none are stored" in line]
    assert 'layer "bn0" (BatchNorm)' in line and "; so do 1 more" in line
    stored = caffelite.get_solver(param("base_lr: 1e-12", NET.replace(before, norms + before)))
    for name in ("bn0", "bn1"):
        for blob in stored.net.params[name]:
            blob.data[...] = 1
    stored.step(1)
    assert len([line for line in lines() if "none are stored" in line]) == 1


FCN = """
layer { name: "data" type: "DummyData" top: "data" top: "label"
        dummy_data_param { shape { dim: 1 dim: 2 dim: 4 dim: 4 }
                           shape { dim: 1 dim: 1 dim: 8 dim: 8 }
                           data_filler { value: 1 } data_filler { value: 1 } } }
layer { name: "frozen" type: "Convolution" bottom: "data" top: "frozen" param { lr_mult: 0 }
        convolution_param { num_output: 2 kernel_size: 1 } }
layer { name: "score" type: "Convolution" bottom: "frozen" top: "score"
        convolution_param { num_output: 2 kernel_size: 1 } }
layer { name: "up" type: "Deconvolution" bottom: "score" top: "up" param { lr_mult: 0 }
        convolution_param { num_output: 2 kernel_size: 4 stride: 2 pad: 1 bias_term: false } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "up" bottom: "label" top: "loss" }
"""


def test_weights_that_are_0_for_good_are_told_once(lines):
    solver = caffelite.get_solver(param("base_lr: 0.1", FCN))
    solver.step(2)
    (line,) = [line for line in lines() if "no gradient comes through it" in line]
    assert 'layer "up" (Deconvolution): its weights are all 0' in line and "more" not in line
    assert 'weight_filler { type: "bilinear" diagonal: true }' in line
    assert not solver.net.params["score"][1].data.any()  # as is told
    filled = caffelite.get_solver(param("base_lr: 0.1", FCN))
    up = filled.net.layer_dict["up"]
    up.blobs[0].data[...] = up.bilinear()
    filled.step(2)
    assert len([line for line in lines() if "no gradient comes through it" in line]) == 1
    assert filled.net.params["score"][1].data.any()


def test_a_stop_request_ends_with_a_snapshot(lines):
    solver = caffelite.get_solver(param())
    solver.add_listener(
        lambda e: solver.request("stop") if e["event"] == "step" and e["iteration"] == 4 else None
    )
    solver.solve()
    assert solver.iter == 4
    assert os.path.exists("s_iter_4.solverstate")
    assert lines()[-1] == "Optimization stopped early."


def test_a_stop_request_interrupts_a_test(lines):
    solver = caffelite.get_solver(param("test_iter: 5 test_interval: 1"))
    solver.request("stop")
    solver.solve()
    assert solver.iter == 0
    assert "Test interrupted." in lines()
    assert not any("Test net output" in line for line in lines())


def test_a_snapshot_request_is_served():
    solver = caffelite.get_solver(param("snapshot_after_train: false"))
    solver.request("snapshot")
    solver.solve()
    assert sorted(p for p in os.listdir() if p.startswith("s_")) == [
        "s_iter_1.caffemodel",
        "s_iter_1.solverstate",
    ]


# Going by test passes

WATCHED = (
    NET
    + """
layer { name: "more" type: "Power" bottom: "ip2" top: "more" }
layer { name: "also" type: "EuclideanLoss" bottom: "ip2" bottom: "target" top: "also"
  loss_weight: 0 }
"""
)


def watching(text, values=None, net=WATCHED):
    """A solver that tests every iteration; its tests give `values`, if given."""
    solver = caffelite.get_solver(param("test_iter: 2 test_interval: 1 " + text, net))
    if values is not None:
        script = iter(values)

        def test(k=0, judge=None):
            value = next(script)
            judge(value, {name: np.array(value) for name in ("more", "loss", "also")})

        solver.test = test
    return solver


def test_plateau_steps_after_tests_that_did_not_improve(lines):
    values = [5, 4, 4, 4.5, 4, 3.9, 4, 4, 4, 4]
    solver = watching('lr_policy: "plateau" gamma: 0.1 patience: 2 max_iter: 10', values)
    rates = []
    solver.add_listener(lambda e: e["event"] == "step" and rates.append(e["lr"]))
    solver.step(10)
    steps = [0, 0, 0, 1, 1, 1, 1, 2, 2, 3]
    np.testing.assert_allclose(rates, 0.1 * 0.1 ** np.array(steps), rtol=1e-6)
    assert [line for line in lines() if "Plateau" in line] == [
        f"Plateau Status: Iteration {i}, step = {k + 1}" for k, i in enumerate((3, 7, 9))
    ]


@pytest.mark.parametrize(("least", "divisions"), [("0.00001", 3), ("0.0001", 2)])
def test_plateau_divides_by_ten_down_to_min_lr_and_so_it_does_when_resumed(least, divisions, lines):
    """0.01 / 10^k, k = 1, 2, 3 where the error stood still: 0.00001 in the end, not 0.0001."""
    text = f'lr_policy: "plateau" base_lr: 0.01 gamma: 0.1 patience: 2 min_lr: {least} snapshot: 5'
    expected = [0.01 / 10 ** min(i // 2, divisions) for i in range(12)]
    rates = []

    def run(iterations):
        solver = watching(text, [4] * 12)
        solver.add_listener(lambda e: e["event"] == "step" and rates.append(e["lr"]))
        if rates:
            solver.restore("s_iter_5.solverstate")
        solver.step(iterations)
        return solver

    whole = run(12)
    np.testing.assert_allclose(rates, expected, rtol=1e-5)
    assert whole.current_step == divisions
    said = [line for line in lines() if line.startswith("Plateau Status")]
    assert said[-1] == f"Plateau Status: Iteration {2 * divisions}, step = {divisions}"
    assert len(said) == divisions
    resumed = run(7)
    np.testing.assert_allclose(rates[12:], expected[5:], rtol=1e-5)
    assert same(whole, resumed)


@pytest.mark.parametrize(
    ("monitor", "rises"),
    [
        ("", False),
        ('monitor: "loss"', False),
        ('monitor: "also"', False),
        ('monitor: "more"', True),
    ],
)
def test_losses_are_to_fall_and_other_outputs_to_rise(monitor, rises):
    rising, falling = [1, 2, 3, 4, 5], [5, 4, 3, 2, 1]
    for values, improves in ((rising, rises), (falling, not rises)):
        solver = watching(f'lr_policy: "plateau" gamma: 0.1 patience: 1 {monitor}', values)
        solver.step(5)
        assert solver.current_step == (0 if improves else 4)


def test_early_stop_keeps_the_best_model(lines):
    solver = watching("early_stop: 3 max_iter: 20", [5, 4, 6, 3, 3, math.nan, 7, 1])
    at_best = []

    def listen(event):
        if event["event"] == "best":
            at_best[:] = weights(solver)
            assert event["model"] == "s_best.caffemodel"

    solver.add_listener(listen)
    solver.solve()
    assert solver.iter == 6
    best = caffelite.Net.from_param(nets.test_nets(solver.param, "")[0][1])
    best.copy_from("s_best.caffemodel")
    for entry, array in zip(best.learnable, at_best, strict=True):
        np.testing.assert_array_equal(entry.blob.data, array)
    assert not same_arrays(at_best, weights(solver))
    said = "early_stop: loss has not fallen below 3, of iteration 3, in 3 tests"
    assert said in lines() and "Optimization stopped early." in lines()
    assert os.path.exists("s_iter_6.solverstate")


def same_arrays(one, two):
    return all((a == b).all() for a, b in zip(one, two, strict=True))


def test_the_best_model_may_be_hdf5():
    pytest.importorskip("h5py")
    watching("early_stop: 3 snapshot_format: HDF5", [5, 4]).step(2)
    assert os.path.exists("s_best.caffemodel.h5") and not os.path.exists("s_best.caffemodel")


def test_a_value_that_is_no_number_is_soon_forgotten():
    solver = watching('lr_policy: "plateau" gamma: 0.1 patience: 2', [math.nan, 5, math.nan, 4])
    solver.step(4)
    assert solver.current_step == 0 and solver.monitor.so_far.best == 4


@pytest.mark.parametrize("form, ending", [("BINARYPROTO", ""), ("HDF5", ".h5")])
def test_a_run_by_tests_resumes_with_the_same_bits(form, ending, lines):
    text = 'lr_policy: "plateau" gamma: 0.7 patience: 1 early_stop: 30 snapshot: 4 max_iter: 12 '
    text += f'monitor: "loss" snapshot_format: {form}'
    whole, resumed = watching(text), watching(text + " random_seed: 9")
    whole.solve()
    assert 1 < whole.current_step < 11
    resumed.restore(f"s_iter_4.solverstate{ending}")
    assert resumed.monitor.so_far.HasField("best")
    resumed.solve(f"s_iter_4.solverstate{ending}")
    assert f"Restoring previous solver status from s_iter_4.solverstate{ending}" in lines()
    assert same(whole, resumed)
    assert resumed.monitor.so_far == whole.monitor.so_far
    assert resumed.current_step == whole.current_step


def test_ssds_plateau_steps_after_iterations_without_a_lower_loss(lines):
    """Two without, counted from the lowest, then three; a step counts as new, too."""
    text = 'lr_policy: "plateau" gamma: 0.1 plateau_winsize: 2 plateau_winsize: 3'
    solver = caffelite.get_solver(param(text))
    losses = iter([5, 4, 4, 4, 4, 3, 3, 3, 3, 3, 3, 3, 3])
    rates = []
    solver.add_listener(lambda e: e["event"] == "step" and rates.append(e["lr"]))
    for _ in range(13):
        solver.iterate(lambda: next(losses))
    steps = [0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2]
    np.testing.assert_allclose(rates, 0.1 * 0.1 ** np.array(steps), rtol=1e-6)
    assert [line for line in lines() if "Plateau" in line] == [
        f"Plateau Status: Iteration {i}, step = {k + 1}" for k, i in enumerate((3, 8))
    ]


@pytest.mark.parametrize("form, ending", [("BINARYPROTO", ""), ("HDF5", ".h5")])
def test_a_run_by_its_losses_resumes_with_the_same_bits(form, ending):
    text = 'lr_policy: "plateau" gamma: 0.7 plateau_winsize: [2, 1, 1, 1, 1] average_loss: 3 '
    text += f"snapshot: 6 snapshot_format: {form} max_iter: 14"
    whole, resumed = caffelite.get_solver(param(text)), caffelite.get_solver(param(text))
    whole.solve()
    assert whole.current_step > 1
    resumed.solve(f"s_iter_6.solverstate{ending}")
    assert resumed.current_step == whole.current_step and same(whole, resumed)
    assert resumed.lowest_loss.event == whole.lowest_loss.event


@pytest.mark.parametrize("action", ["stop", "snapshot"])
def test_what_happens_amid_tests_is_undone_by_resuming(action):
    text = 'lr_policy: "plateau" gamma: 0.7 patience: 1 max_iter: 9 test_iter: 3 test_interval: 3'
    whole = watching(text)
    whole.solve()
    amid = watching(text)
    tests = []

    def ask(index):
        tests.append(index)
        if len(tests) == 5 and amid.iter > 0:
            amid.request(action)

    amid.test_nets[1].before_forward(lambda index: index == 0 and ask(index))
    amid.solve()
    assert os.path.exists("s_iter_3.solverstate"), "while net 1 was tested for the 2nd time"
    resumed = watching(text + " random_seed: 9")
    resumed.restore("s_iter_3.solverstate")
    resumed.solve()
    assert same(whole, resumed) and resumed.monitor.so_far == whole.monitor.so_far


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('monitor: "los" early_stop: 1', 'test net 0 has no output "los"; did you mean "loss"'),
        ("early_stop: -1", "early_stop must be at least 0, not -1"),
    ],
)
def test_mistakes_about_tests_are_named(text, message):
    with pytest.raises(SolverError, match=message):
        watching(text)


@pytest.mark.parametrize("text", ['lr_policy: "plateau" gamma: 0.1', "early_stop: 2"])
def test_going_by_tests_needs_a_test_net_and_batches(text):
    with pytest.raises(SolverError, match="there is no test net"):
        caffelite.get_solver(param(text))
    with pytest.raises(SolverError, match="the first test_iter is 0"):
        caffelite.get_solver(param(text + " test_iter: [0, 2] test_interval: 1"))


# Snapshots and resuming


@pytest.mark.parametrize("kind", sorted(RULES))
@pytest.mark.parametrize("form, ending", [("BINARYPROTO", ""), ("HDF5", ".h5")])
def test_a_resumed_run_ends_with_the_same_bits(kind, form, ending):
    momentum = "momentum: 0.9" if "momentum" in RULES[kind].reads else ""
    text = f'type: "{kind}" {momentum} weight_decay: 0.01 snapshot: 4 snapshot_format: {form}'
    text += ' lr_policy: "multistep" gamma: 0.5 stepvalue: 2 stepvalue: 7'
    whole = caffelite.get_solver(param(text))
    whole.step(10)
    resumed = caffelite.get_solver(param(text + " random_seed: 99"))
    resumed.restore(f"s_iter_4.solverstate{ending}")
    assert resumed.iter == 4 and resumed.current_step == whole.current_step - 1
    resumed.step(6)
    assert same(whole, resumed)


@pytest.mark.parametrize("form, ending", [("BINARYPROTO", ""), ("HDF5", ".h5")])
def test_what_recurrent_layers_carry_goes_on(form, ending):
    text = f"snapshot: 4 snapshot_format: {form} test_iter: 2 test_interval: 3"
    whole = caffelite.get_solver(param(text, CARRYING))
    whole.step(10)
    resumed = caffelite.get_solver(param(text, CARRYING))
    resumed.restore(f"s_iter_4.solverstate{ending}")
    resumed.step(6)
    assert same(whole, resumed)
    assert [len(state) for state in carried(whole)] == [1, 2, 1, 1, 2, 1]
    np.testing.assert_equal(carried(whole), carried(resumed))


def carried(solver):
    layers = [layer for net in (solver.net, *solver.test_nets) for layer in net.layers]
    return [[blob.data for blob in layer.carried] for layer in layers if layer.carried]


def test_a_state_carried_by_another_net_is_refused():
    caffelite.get_solver(param("snapshot: 4", CARRYING)).step(4)
    other = caffelite.get_solver(param("", CARRYING.replace("dim: 2", "dim: 3")))
    with pytest.raises(SolverError, match=r'what layer "rnn" \(RNN\) carries'):
        other.restore("s_iter_4.solverstate")


def test_a_state_that_carries_too_little_is_refused_before_anything_changes():
    solver = caffelite.get_solver(param("", CARRYING))
    solver.step(1)
    _, path = solver.snapshot()
    state = caffe_pb2.SolverState.FromString(Path(path).read_bytes())
    state.carried[0].state[0].data.pop()
    Path(path).write_bytes(state.SerializeToString())
    solver.step(1)
    before = weights(solver)
    with pytest.raises(SolverError, match='layer "rnn" .* carries .* 11 numbers'):
        solver.restore(path)
    assert solver.iter == 2 and same_arrays(before, weights(solver))


def test_an_unseeded_run_resumes_with_the_same_bits():
    solver = param("snapshot: 4")
    solver.ClearField("random_seed")
    whole = caffelite.get_solver(solver)
    whole.step(10)
    resumed = caffelite.get_solver(solver)
    resumed.restore("s_iter_4.solverstate")
    resumed.step(6)
    assert same(whole, resumed)


CHILD = """
import sys, caffelite
solver = caffelite.get_solver("solver.prototxt")
if len(sys.argv) > 1:
    solver.restore(sys.argv[1])
solver.add_listener(lambda e: print(e["event"], e["iteration"], flush=True))
solver.solve()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "net",
    [pytest.param(NET, id="plain", marks=pytest.mark.slow), pytest.param(CARRYING, id="carrying")],
)
def test_a_killed_run_resumes_with_the_same_bits(net):
    """SIGKILL at any moment leaves whole snapshots, and nothing of the run is lost beyond them."""
    text = "snapshot: 10 max_iter: 400 base_lr: 0.01 momentum: 0.9"
    with open("solver.prototxt", "w") as file:
        file.write(text_format.MessageToString(param(text, net)))
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, text=True)
    for line in child.stdout:
        if line.startswith("step 57"):
            break
    child.send_signal(signal.SIGKILL)
    child.communicate()
    latest = max(int(re.search(r"(\d+)\.solverstate$", p)[1])
                 for p in os.listdir() if p.endswith(".solverstate"))  # fmt: skip
    assert 50 <= latest < 400
    state = f"s_iter_{latest}.solverstate"
    subprocess.run([sys.executable, "-c", CHILD, state], check=True, stdout=subprocess.DEVNULL)
    resumed = caffelite.get_solver(param(text, net))
    resumed.net.copy_from("s_iter_400.caffemodel")
    whole = caffelite.get_solver(param(text, net))
    whole.step(400)
    assert same(whole, resumed)


def test_a_binary_state_is_what_caffe_reads():
    """History by kind, then by blob: of Adam the means of the gradients, then of their squares."""
    solver = caffelite.get_solver(param('type: "Adam" momentum: 0.5 momentum2: 0.75'))
    for entry in solver.net.learnable:
        entry.blob.diff[...] = 2
    solver.apply_update()
    model, path = solver.snapshot()
    state = caffe_pb2.SolverState.FromString(Path(path).read_bytes())
    assert (state.iter, state.learned_net, state.current_step) == (1, model, 0)
    assert [list(blob.shape.dim) for blob in state.history] == [[6, 5], [6], [2, 6], [2]] * 2
    assert [set(blob.data) for blob in state.history] == [{1.0}] * 4 + [{1.0}] * 4


def test_an_hdf5_state_is_what_caffe_reads(lines):
    h5py = pytest.importorskip("h5py")
    solver = caffelite.get_solver(param('snapshot_format: HDF5 snapshot_prefix: "ü/s" momentum: 1'))
    solver.current_step = 3
    solver.step(2)
    model, path = solver.snapshot()
    assert (model, path) == ("ü/s_iter_2.caffemodel.h5", "ü/s_iter_2.solverstate.h5")
    assert lines()[-2:] == [
        f"Snapshotting to HDF5 file {model}",
        f"Snapshotting solver state to HDF5 file {path}",
    ]
    with h5py.File(path) as file:
        for name, value in (("iter", 2), ("current_step", 3)):
            assert (
                file[name].shape == (1,) and file[name].dtype == np.int32 and file[name][0] == value
            )
        text = file["learned_net"]
        assert text[()] == model.encode() and text.shape == ()
        kind = text.id.get_type()
        assert kind.get_size() == len(model.encode()) + 1
        assert kind.get_strpad() == h5py.h5t.STR_NULLTERM
        for index, history in enumerate(solver.history):
            stored = file[f"history/{index}"]
            assert stored.dtype == np.float32 and stored.shape == history["momentum"].shape
            np.testing.assert_array_equal(stored, history["momentum"])
        assert len(file["history"]) == 4


@pytest.mark.parametrize("form, ending", [("BINARYPROTO", ""), ("HDF5", ".h5")])
def test_a_state_names_models_of_either_kind(form, ending):
    h5py = pytest.importorskip("h5py")
    solver = caffelite.get_solver(param(f"snapshot_format: {form}"))
    solver.step(1)
    _, path = solver.snapshot()
    solver.net.save("other.caffemodel") if ending else solver.net.save_hdf5("other.h5")
    other = "other.caffemodel" if ending else "other.h5"
    if ending:
        with h5py.File(path, "a") as file:
            del file["learned_net"]
            file["learned_net"] = other
    else:
        state = caffe_pb2.SolverState.FromString(Path(path).read_bytes())
        state.learned_net = other
        Path(path).write_bytes(state.SerializeToString())
    again = caffelite.get_solver(param("random_seed: 8"))
    again.restore(path)
    assert same(solver, again)


def test_snapshot_diff_keeps_gradients():
    solver = caffelite.get_solver(param("snapshot_diff: true"))
    solver.step(1)
    model, _ = solver.snapshot()
    with open(model, "rb") as file:
        saved = caffe_pb2.NetParameter.FromString(file.read())
    blobs = {ly.name: ly.blobs for ly in saved.layer}
    expected = solver.net.params["ip1"][0].diff.ravel()
    np.testing.assert_array_equal(np.asarray(blobs["ip1"][0].diff, "f4"), expected)


def test_the_model_is_found_beside_a_moved_state(tmp_path):
    solver = caffelite.get_solver(param())
    solver.step(2)
    solver.snapshot()
    (tmp_path / "moved").mkdir()
    for path in ("s_iter_2.caffemodel", "s_iter_2.solverstate"):
        os.rename(path, f"moved/{path}")
    again = caffelite.get_solver(param())
    again.restore("moved/s_iter_2.solverstate")
    assert same(solver, again)


def test_snapshots_make_their_folder():
    solver = caffelite.get_solver(param('snapshot_prefix: "a/b/s"'))
    solver.step(1)
    solver.snapshot()
    assert sorted(os.listdir("a/b")) == ["s_iter_1.caffemodel", "s_iter_1.solverstate"]


def test_what_ssd_says_of_its_tests_is_passed_over(lines):
    caffelite.get_solver(param('eval_type: "densebox" ap_version: "11point"'))
    assert any(line.startswith("eval_type does nothing here") for line in lines())


# Mistakes


@pytest.mark.parametrize(
    "text, message",
    [
        ('type: "Sgd"', 'unknown solver type "Sgd"; did you mean "SGD"'),
        ('lr_policy: "stepp"', 'lr_policy: unknown "stepp"; did you mean "step"'),
        ("average_loss: 0", "average_loss must be at least 1"),
        ("iter_size: 0", "iter_size must be at least 1"),
        ('weight_decay: 1 regularization_type: "L3"', 'unknown "L3"'),
        ('train_net: "x"', "exactly one of.*train_net and net_param"),
        ("test_iter: 3", "test_interval must be above 0, not 0"),
        ("test_iter: 3 test_interval: 1 test_state {} test_state {}", "has 2 test_state entries"),
        ('type: "AdaGrad" momentum: 0.9', "AdaGrad has no momentum"),
        ('type: "RMSProp" momentum: 0.9', "RMSProp has no momentum"),
        ('type: "RMSProp" rms_decay: 1', "rms_decay must be at least 0 and below 1"),
        ('type: "RMSProp" rms_decay: -0.1', "rms_decay must be at least 0 and below 1"),
        ('type: "Adam" momentum: 1', "Adam: momentum must be at least 0 and below 1, not 1"),
        ('type: "Adam" momentum2: 2', "Adam: momentum2 must be at least 0 and below 1, not 2"),
        ('snapshot: 1 snapshot_prefix: ""', "snapshot_prefix must be set"),
        ('snapshot: 1 snapshot_prefix: "/dev/null/s"', '"/dev/null/s": cannot write there'),
        (f'snapshot: 1 snapshot_prefix: "{"x" * 240}"', "cannot write there: File name too long"),
        (r'snapshot: 1 snapshot_prefix: "a\0b"', "cannot write there: embedded null byte"),
        ('weights: ""', 'weights: "": expected names of files, separated by commas'),
        ('weights: "a.caffemodel,"', 'weights: "a.caffemodel,": expected names of files'),
        ('weights: "none.caffemodel"', "none.caffemodel: cannot read the weights: No such file"),
    ],
)
def test_solver_mistakes_are_named(text, message):
    with pytest.raises(CaffeliteError, match=message):
        caffelite.get_solver(param(text))


def test_training_does_not_begin_if_its_result_cannot_be_kept():
    solver = caffelite.get_solver(param('snapshot_prefix: "/dev/null/s"'))
    with pytest.raises(SolverError, match="cannot write there"):
        solver.solve()
    assert solver.iter == 0


def test_a_loss_that_is_not_finite_stops_and_names_the_layer():
    solver = caffelite.get_solver(param("snapshot: 2"))
    solver.step(3)
    solver.net.params["ip2"][0].data[0, 0] = np.nan
    with pytest.raises(SolverError, match=r'iteration 3.*learnable blob "weight" of layer "ip2"'):
        solver.step(1)
    assert sorted(os.listdir()) == ["s_iter_2.caffemodel", "s_iter_2.solverstate"]


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "the file is empty"),
        (b"\xff" * 40, "not a .solverstate"),
        (b"\x08\x05", "holds 0 histories, expected 4"),
        (b"\x1a\x05", "damaged: it was cut off: of its last field 5 bytes are missing"),
        (b"\x1a\x03\x3a\x01\xff", "not a .solverstate, or a damaged one"),  # a blob's shape
        (b"\x12\x01\xff", "not a .solverstate, or a damaged one"),  # learned_net
        (caffe_pb2.SolverState(iter=-1).SerializeToString(), "not a .solverstate"),
    ],
)
def test_broken_states_are_named(content, message):
    with open("bad.solverstate", "wb") as file:
        file.write(content)
    with pytest.raises(SolverError, match=f"bad.solverstate: {message}"):
        caffelite.get_solver(param()).restore("bad.solverstate")
    with pytest.raises(SolverError, match="none: cannot read"):
        caffelite.get_solver(param()).restore("none")


def test_a_state_of_many_small_fields_is_read_in_one_go():
    """When each field was added to a copy of all before it, this took 11 s, and 2 MB a minute."""
    with open("many.solverstate", "wb") as file:
        file.write(b"\x08\x07" * 400_000)  # iter: 7
    begun = time.process_time()
    with pytest.raises(SolverError, match="holds 0 histories"):
        caffelite.get_solver(param()).restore("many.solverstate")
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("iter", None, '"/iter" is missing'),
        ("iter", [], "not a .solverstate, or a damaged one"),
        ("iter", [1.5e10], "not a .solverstate, or a damaged one"),
        ("iter", "three", '"/iter" is object'),
        ("current_step", [-1], "not a .solverstate, or a damaged one"),
        ("learned_net", 7, '"/learned_net" is no string'),
        ("learned_net", "none", "none: cannot read the weights: No such file"),
        ("caffelite_state", np.frombuffer(b"\xff" * 9, "u1"), "not a .solverstate"),
        ("history", None, '"/history" is missing'),
        ("history", 1, '"/history" is a dataset, expected a group'),
        ("history/3", None, "holds 3 histories, expected 4"),
        ("history/0", np.zeros((5, 6)), r"history 0 has the shape \(5, 6\), expected \(6, 5\)"),
        ("history/0", "x", '"/history/0" is object'),
    ],
)
def test_broken_hdf5_states_are_named(name, value, message):
    h5py = pytest.importorskip("h5py")
    solver = caffelite.get_solver(param("snapshot_format: HDF5"))
    _, path = solver.snapshot()
    with h5py.File(path, "a") as file:
        del file[name]
        if value is not None:
            file[name] = value
    before = weights(solver)
    with pytest.raises(CaffeliteError, match=message):
        solver.restore(path)
    assert same_arrays(before, weights(solver))


def test_a_state_of_another_solver_is_refused():
    solver = caffelite.get_solver(param('type: "Adam" momentum: 0.9'))
    _, state = solver.snapshot()
    with pytest.raises(SolverError, match="holds 8 histories, expected 4.*another type of solver"):
        caffelite.get_solver(param()).restore(state)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_no_space_leaves_nothing_half_written(monkeypatch):
    solver = caffelite.get_solver(param("snapshot: 1"))
    solver.step(1)
    before = sorted(os.listdir())
    write = os.write

    def full(fd, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    monkeypatch.setattr(os, "fsync", lambda fd: full(fd, b""))
    with pytest.raises(CaffeliteError, match="s_iter_2.caffemodel.*No space left"):
        solver.step(1)
    monkeypatch.setattr(os, "write", write)
    assert sorted(os.listdir()) == before


# Numbers that are too large


def test_an_unknown_monitor_is_named_even_where_nothing_goes_by_it():
    with pytest.raises(SolverError, match='monitor: test net 0 has no output "acuracy"'):
        caffelite.get_solver(param('monitor: "acuracy" test_iter: 1 test_interval: 1'))


def test_iterations_end_where_a_state_can_count_no_further():
    solver = caffelite.get_solver(param())
    solver.iter = 2**31 - 2
    solver.step(1)
    solver.snapshot()
    with pytest.raises(SolverError, match="iteration 2147483648 is beyond the last"):
        solver.step(1)


@pytest.mark.parametrize("field", ["best_iter", "tests_since_best", "tests_since_step"])
@pytest.mark.parametrize("value", [-1, 2**31 - 1])
def test_a_state_whose_counts_cannot_be_is_refused(field, value):
    _, path = caffelite.get_solver(param()).snapshot()
    state = caffe_pb2.SolverState.FromString(Path(path).read_bytes())
    setattr(state.progress, field, value)
    state.ClearField("checksum")
    Path(path).write_bytes(state.SerializeToString())
    with pytest.raises(SolverError, match="not a .solverstate, or a damaged one"):
        caffelite.get_solver(param()).restore(path)


def test_a_folder_whose_name_is_not_utf8_is_no_snapshot_prefix():
    folder = os.fsdecode(b"\xff")
    os.mkdir(folder)
    Path(folder, "solver.prototxt").write_text("base_lr: 1")
    with pytest.raises(CaffeliteError, match="snapshot_prefix, which .* is not UTF-8"):
        caffelite.get_solver(f"{folder}/solver.prototxt")
