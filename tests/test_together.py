"""Several solvers that train in turns: a generator and its critic, with all they need to go on."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

import caffelite
from caffelite import Together
from caffelite.errors import CaffeliteError, SolverError
from caffelite.proto import caffe_pb2

MAKER = """force_backward: true
layer { name: "noise" type: "DummyData" top: "noise" dummy_data_param {
  shape { dim: 32 dim: 1 } data_filler { type: "gaussian" } } }
layer { name: "made" type: "InnerProduct" bottom: "noise" top: "made" inner_product_param {
  num_output: 1 weight_filler { value: 0.5 } } }
"""
CRITIC = """force_backward: true
layer { name: "real" type: "DummyData" top: "real" dummy_data_param {
  shape { dim: 32 dim: 1 } data_filler { type: "gaussian" mean: 2 std: 0.5 } } }
layer { name: "in" type: "Input" top: "fake" top: "label" input_param {
  shape { dim: 32 dim: 1 } shape { dim: 64 dim: 1 } } }
layer { name: "both" type: "Concat" bottom: "real" bottom: "fake" top: "both"
  concat_param { axis: 0 } }
layer { name: "ip1" type: "InnerProduct" bottom: "both" top: "ip1" inner_product_param {
  num_output: 8 weight_filler { type: "xavier" } bias_filler { type: "uniform" min: -1 } } }
layer { name: "tanh" type: "TanH" bottom: "ip1" top: "ip1" }
layer { name: "drop" type: "Dropout" bottom: "ip1" top: "ip1" dropout_param { dropout_ratio: 0.1 } }
layer { name: "score" type: "InnerProduct" bottom: "ip1" top: "score" inner_product_param {
  num_output: 1 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SigmoidCrossEntropyLoss" bottom: "score" bottom: "label" top: "loss" }
"""
TRUTH = np.repeat([[1.0], [0.0]], 32, axis=0)


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def solver(net, seed, text=""):
    param = text_format.Parse(
        f'type: "Adam" base_lr: 0.02 momentum: 0.5 lr_policy: "exp" gamma: 0.995 {text} '
        f'random_seed: {seed} snapshot_prefix: "unused"',
        caffe_pb2.SolverParameter(),
    )
    text_format.Parse(net, param.net_param)
    return caffelite.get_solver(param)


def turn(critic, maker):
    """The critic learns to tell real from made numbers, then the maker what it takes for real."""
    fake, label = critic.net.blobs["fake"], critic.net.blobs["label"]

    def judge():
        fake.data[...] = maker.net.forward()["made"]
        label.data[...] = TRUTH
        return critic.net.forward_backward()

    def fool():
        fake.data[...] = maker.net.forward()["made"]
        label.data[...] = 1
        loss = critic.net.forward_backward()
        maker.net.blobs["made"].diff[...] = fake.diff
        maker.net.backward()
        return loss

    return critic.iterate(judge) or maker.iterate(fool)


def both(seed=1, text="", **more):
    pair = {"critic": solver(CRITIC, seed, text), "maker": solver(MAKER, seed + 1, text)}
    return Together(pair, turn, snapshot_prefix="t/gan", **more)


def all_of(one):
    return [
        array.copy()
        for solver in one.solvers.values()
        for entry, history in zip(solver.net.learnable, solver.history, strict=True)
        for array in (entry.blob.data, *history.values())
    ]


def test_a_generator_learns_where_the_numbers_are():
    one = both(max_iter=400)
    maker = one.solvers["maker"]
    assert abs(maker.net.forward()["made"].mean()) < 0.5
    one.solve()
    mean = np.mean([maker.net.forward()["made"].mean() for _ in range(20)])
    assert mean == pytest.approx(2, abs=0.5)
    assert one.iter == maker.iter == one.solvers["critic"].iter == 400
    assert sorted(os.listdir("t")) == [
        "gan_critic_iter_400.caffemodel", "gan_critic_iter_400.solverstate",
        "gan_iter_400.together",
        "gan_maker_iter_400.caffemodel", "gan_maker_iter_400.solverstate",
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["BINARYPROTO", pytest.param("HDF5", marks=pytest.mark.slow)])
def test_a_resumed_run_ends_with_the_same_bits(form):
    if form == "HDF5":
        pytest.importorskip("h5py")
    text = f"snapshot_format: {form}"
    whole = both(text=text, snapshot=3, max_iter=8)
    whole.solve()
    again = both(text=text)
    again.step(8)
    np.testing.assert_equal(all_of(again), all_of(whole))
    for iteration in (8, 6):
        resumed = both(seed=7, text=text)
        assert resumed.resume() == f"t/gan_iter_{iteration}.together"
        resumed.step(8 - iteration)
        np.testing.assert_equal(all_of(resumed), all_of(whole))
        assert resumed.iter == 8
        os.remove(f"t/gan_iter_{iteration}.together")


def damage(what):
    """Break a snapshot of iteration 4, written by another run than that of iteration 2."""
    if what == "a state of another run":
        other = both(seed=5)
        other.step(4)
        kept = {p: p.read_bytes() for p in Path("t").iterdir() if "maker" not in p.name}
        other.snapshot()
        for path, content in kept.items():
            path.write_bytes(content)
    elif what == "a state is gone":
        os.remove("t/gan_maker_iter_4.solverstate")
    elif what == "a model is cut off":
        path = Path("t/gan_maker_iter_4.caffemodel")
        path.write_bytes(path.read_bytes()[:-9])
    else:
        Path("t/gan_iter_4.together").write_text(what)


@pytest.mark.parametrize(
    "what, message",
    [
        ("a state of another run", "gan_maker_iter_4.solverstate: is not the state that"),
        ("a state is gone", "gan_maker_iter_4.solverstate: cannot read"),
        ("a model is cut off", "gan_maker_iter_4.caffemodel"),
        ("{", "gan_iter_4.together: expected JSON"),
        ('{"iter": 3, "solvers": {"critic": 5}}', "not a .together file, or a damaged one"),
        ('{"iter": -3, "solvers": {}}', "not a .together file, or a damaged one"),
        ('{"iter": 1e999, "solvers": {}}', "not a .together file, or a damaged one"),
        ('{"iter": 3, "solvers": {}}', "is of solvers named , expected critic, maker"),
    ],
)
def test_all_are_restored_or_none(what, message, caplog):
    one = both(snapshot=2)
    one.step(4)
    damage(what)
    other = both(seed=9)
    other.step(1)
    before = all_of(other)
    with pytest.raises(CaffeliteError, match=message):
        other.restore("t/gan_iter_4.together")
    np.testing.assert_equal(all_of(other), before)
    assert [other.iter, *(solver.iter for solver in other.solvers.values())] == [1, 1, 1]
    assert other.resume() == "t/gan_iter_2.together" and "passing it over" in caplog.text
    assert [other.iter, *(solver.iter for solver in other.solvers.values())] == [2, 2, 2]


def test_where_no_snapshot_is_whole_it_does_not_begin_afresh():
    one = both()
    assert one.resume() is None
    one.step(1)
    one.snapshot()
    os.remove("t/gan_critic_iter_1.caffemodel")
    with pytest.raises(SolverError, match="none of the 1 snapshots there can be gone on from"):
        both().resume()


def test_no_space_leaves_the_snapshot_before(monkeypatch):
    one = both()
    one.step(1)
    one.snapshot()
    before = {path: path.read_bytes() for path in Path("t").iterdir()}
    sync, calls = os.fsync, []

    def full(handle):
        calls.append(handle)
        if len(calls) == 4:
            raise OSError(28, "No space left on device")
        return sync(handle)

    monkeypatch.setattr("os.fsync", full)
    one.solvers["maker"].net.params["made"][0].data[...] = 3
    with pytest.raises(CaffeliteError, match="No space left"):
        one.snapshot()
    assert {path: path.read_bytes() for path in Path("t").iterdir()} == before


def test_by_default_each_takes_an_iteration_and_requests_are_heard():
    net = CRITIC.replace("force_backward: true", "")
    one = Together(
        {"a": solver(net, 1), "b": solver(net, 2, "iter_size: 2")},
        max_iter=9, snapshot_prefix="two",
    )  # fmt: skip
    heard = []
    one.add_listener(lambda event: heard.append((event["event"], event["iteration"])))
    one.add_callback(on_start=lambda: one.iter == 2 and one.request("stop"))
    assert one.solve()
    assert heard == [("step", 1), ("step", 2), ("step", 3), ("snapshot", 3), ("stopped", 3)]
    assert [solver.iter for solver in one.solvers.values()] == [3, 3]
    assert json.loads(Path("two_iter_3.together").read_text())["iter"] == 3


def test_solvers_may_be_given_as_files():
    param = solver(CRITIC, 1).param
    Path("a.prototxt").write_text(text_format.MessageToString(param))
    one = Together({"a": "a.prototxt"}, snapshot_prefix="s")
    one.step(2)
    assert one.solvers["a"].iter == 2 and one.solvers["a"].file == "a.prototxt"
