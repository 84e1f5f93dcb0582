"""Stages of training: the layers of an autoencoder of digits one by one, then all of them."""

import os
from pathlib import Path

import numpy as np
import pytest

import caffelite
from caffelite.cli import main
from caffelite.proto import caffe_pb2
from caffelite.solver import base
from caffelite.solver.monitor import Monitor

DATA = """layer { name: "digits" type: "Data" top: "data" transform_param { scale: 0.0625 }
  data_param { source: "data/digits_train_lmdb" batch_size: 32 backend: LMDB } }
layer { name: "flat" type: "Flatten" bottom: "data" top: "x" }
"""
LAYER = """layer { name: "%s" type: "InnerProduct" bottom: "%s" top: "%s" param { lr_mult: %d }
  inner_product_param { num_output: %d weight_filler { type: "xavier" } } }
"""
LOSS = """layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "x" top: "loss" }
"""
NETS = {
    "first": [("encode1", "x", "h1", 1, 24), ("decode1", "h1", "y", 1, 64)],
    "second": [
        ("encode1", "x", "h1", 0, 24), ("encode2", "h1", "h2", 1, 8),
        ("decode2", "h2", "h3", 1, 24), ("decode1", "h3", "y", 0, 64),
    ],
    "whole": [
        ("encode1", "x", "h1", 1, 24), ("encode2", "h1", "h2", 1, 8),
        ("decode2", "h2", "h3", 1, 24), ("decode1", "h3", "y", 1, 64),
    ],
}  # fmt: skip
SOLVER = """net: "{0}_net.prototxt" snapshot_prefix: "out/{0}" base_lr: 0.01
type: "Adam" momentum: 0.9 lr_policy: "fixed" max_iter: 24 snapshot: 12 random_seed: 1
solver_mode: CPU
"""
ALL = ",".join(f"{name}.prototxt" for name in NETS)
TWO = "first.prototxt,second.prototxt"


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    pytest.importorskip("sklearn")
    folder = tmp_path_factory.mktemp("digits")
    assert main(["dataset", "digits-8x8", "--out", str(folder)]) == 0
    return folder


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch, digits):
    monkeypatch.chdir(tmp_path)
    os.symlink(digits, "data")
    for name, layers in NETS.items():
        layers = "".join(LAYER % layer for layer in layers)
        Path(f"{name}_net.prototxt").write_text(f'name: "{name}"\n{DATA}{layers}{LOSS}')
        Path(f"{name}.prototxt").write_text(SOLVER.format(name))


def train(*flags, solver=ALL):
    return main(["train", "--solver", solver, *flags])


def weights(name, iteration=24, layer="encode1"):
    net = caffelite.Net(f"{name}_net.prototxt", caffelite.TEST)
    net.copy_from(f"out/{name}_iter_{iteration}.caffemodel")
    return net.params[layer][0].data.copy()


def models():
    return {path.name: path.read_bytes() for path in Path("out").glob("*.caffemodel")}


def test_each_stage_starts_from_the_weights_of_the_one_before(capsys):
    assert train() == 0
    said = capsys.readouterr().err
    np.testing.assert_array_equal(weights("second"), weights("first"))  # frozen
    assert (weights("whole") != weights("second")).any()
    assert "Stage second.prototxt, after out/first_iter_24.caffemodel" in said
    assert "Finetuning from out/second_iter_24.caffemodel" in said
    whole = caffelite.Net(
        "whole_net.prototxt", caffelite.TRAIN, weights="out/second_iter_24.caffemodel"
    )
    pretrained = np.mean([whole.forward()["loss"] for _ in range(9)])
    afresh = caffelite.Net("whole_net.prototxt", caffelite.TRAIN, seed=1)
    assert pretrained < 0.6 * np.mean([afresh.forward()["loss"] for _ in range(9)])


def test_resuming_runs_no_stage_again_that_is_done(monkeypatch):
    assert train() == 0
    whole, stopped = models(), []
    for name in ("second_iter_24", "whole_iter_12", "whole_iter_24"):
        for ending in ("caffemodel", "solverstate"):
            os.remove(f"out/{name}.{ending}")
    step = base.Solver.iterate

    def iterate(self, gradients=None):
        stopped.append((self.net.name, self.iter))
        return step(self, gradients)

    monkeypatch.setattr(base.Solver, "iterate", iterate)
    assert train("--resume") == 0
    assert stopped == [("second", i) for i in range(12, 24)] + [("whole", i) for i in range(24)]
    assert models() == whole


def test_what_a_stage_trained_anew_is_not_passed_over_for_old_snapshots():
    """Those that a later stage left, which went on from other weights."""
    assert train(solver=TWO) == 0
    for path in Path("out").glob("first*"):
        path.unlink()
    text = Path("first.prototxt").read_text()
    Path("first.prototxt").write_text(text.replace("random_seed: 1", "random_seed: 2"))
    before = weights("second")
    assert train("--resume", solver=TWO) == 0
    np.testing.assert_array_equal(weights("second"), weights("first"))
    assert (weights("second") != before).any()


def test_going_on_from_what_other_weights_began_is_told(capsys):
    """A run begun anew, and killed before the second stage has written anything."""
    assert train(solver=TWO) == 0
    assert train("--resume", solver=TWO) == 0
    assert "is older than" not in capsys.readouterr().err
    assert train(solver="first.prototxt") == 0
    assert train("--resume", solver=TWO) == 0
    said = "second.prototxt: out/second_iter_24.solverstate is older than out/first_iter_24"
    assert said in capsys.readouterr().err


def test_a_stop_ends_all_stages_and_resuming_goes_on(monkeypatch):
    made = base.Solver._emit

    def emit(self, event, **facts):
        if event == "step" and self.net.name == "second" and facts["iteration"] == 7:
            os.kill(os.getpid(), 15)
        made(self, event, **facts)

    with monkeypatch.context() as patch:
        patch.setattr(base.Solver, "_emit", emit)
        assert train() == 143
    assert sorted(models()) == [
        f"{s}.caffemodel" for s in ("first_iter_12", "first_iter_24", "second_iter_7")
    ]
    assert train("--resume") == 0 and os.path.exists("out/whole_iter_24.caffemodel")


def test_a_stage_may_say_what_it_starts_from():
    text = Path("whole.prototxt").read_text()
    Path("whole.prototxt").write_text(
        text.replace("0.01", "0") + 'weights: "out/first_iter_12.caffemodel"'
    )
    assert train("--iterations", "12") == 0
    np.testing.assert_array_equal(weights("whole", 12), weights("first", 12))
    assert (weights("whole", 12, "encode2") != weights("second", 12, "encode2")).any()


def test_a_stop_as_a_stage_ends_tells_that_others_are_left(monkeypatch):
    made = base.Solver._emit

    def emit(self, event, **facts):
        if event == "snapshot" and facts["iteration"] == 24:
            os.kill(os.getpid(), 15)
        made(self, event, **facts)

    monkeypatch.setattr(base.Solver, "_emit", emit)
    assert train(solver=TWO) == 143
    assert train("--resume", solver=TWO) == 0  # stopped as the last one ends: all is done
    assert os.path.exists("out/second_iter_24.caffemodel")


def test_stages_go_on_after_one_that_has_stopped_early(monkeypatch):
    """Its end is found out by a test, which moves no weights: later stages go on, too."""
    text = Path("first.prototxt").read_text()
    Path("first.prototxt").write_text(text + "test_interval: 4 test_iter: 1 early_stop: 1")
    monkeypatch.setattr(Monitor, "_is_better", lambda *_: False)
    assert train(solver=TWO) == 0
    assert os.path.exists("out/first_iter_4.solverstate")
    for path in Path("out").glob("second_iter_24.*"):
        path.unlink()
    steps, step = [], base.Solver.iterate
    monkeypatch.setattr(
        base.Solver, "iterate", lambda self: steps.append((self.net.name, self.iter)) or step(self)
    )
    assert train("--resume", solver=TWO) == 0
    assert steps == [("first", 4)] + [("second", i) for i in range(12, 24)]


@pytest.mark.parametrize(
    "first, second, message",
    [
        (
            "",
            'snapshot_prefix: "out/first"',
            "second.prototxt: has the snapshot_prefix of the stage",
        ),
        ("snapshot_after_train: false", "", "first.prototxt: snapshot_after_train is off"),
        ("", 'weights: "nowhere.caffemodel"', "nowhere.caffemodel"),
    ],
)
def test_stages_that_cannot_follow_are_refused(first, second, message, capsys):
    for name, more in (("first", first), ("second", second)):
        text = Path(f"{name}.prototxt").read_text()
        if "snapshot_prefix" in more:
            text = text.replace(f'snapshot_prefix: "out/{name}"', "")
        Path(f"{name}.prototxt").write_text(text + more)
    assert train("--iterations", "2", solver="first.prototxt, second.prototxt") == 1
    assert message in capsys.readouterr().err


def test_flags_of_one_solver_and_empty_names_are_refused(capsys):
    assert train("--snapshot", "out/first_iter_12.solverstate") == 2
    assert "--snapshot is of one solver" in capsys.readouterr().err
    assert train(solver="first.prototxt,") == 1
    assert '"first.prototxt,": expected names of files' in capsys.readouterr().err
    Path("a,b.prototxt").write_text(SOLVER.format("first"))
    assert train("--iterations", "1", solver="a,b.prototxt") == 0


def test_a_stage_that_stops_early_gives_its_best_weights():
    from caffelite.solver import stages

    param = caffe_pb2.SolverParameter(snapshot_prefix="out/first", early_stop=2)
    os.mkdir("out")
    one = type("Stopped", (), {"param": param, "iter": 7})
    assert stages.model_after(one) == "out/first_iter_7.caffemodel"
    Path("out/first_best.caffemodel").write_text("")
    assert stages.model_after(one) == "out/first_best.caffemodel"
    param.snapshot_format = param.HDF5
    assert stages.model_after(one) == "out/first_iter_7.caffemodel.h5"
