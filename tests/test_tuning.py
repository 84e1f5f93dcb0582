"""Thresholds that are measured: which are taken, and who tells of them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

import caffelite
from caffelite.kernels import plan, tuning
from caffelite.proto import caffe_pb2
from caffelite.run_log.start import start_of

ALWAYS, NEVER = tuning.Thresholds(1, 1, 1, 1), tuning.Thresholds(999, 999, 999, 999)
NET = """
layer { name: "x" type: "DummyData" top: "x" dummy_data_param { shape { dim: 2 dim: 3 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip"
  inner_product_param { num_output: 1 } }
layer { name: "loss" type: "Reduction" bottom: "ip" top: "loss" loss_weight: 1 }
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    tuning.take(None)
    yield tmp_path
    tuning.take(None)


def keep(found):
    path = Path(tuning.path(tuning.threads_here()))
    path.write_text(found if isinstance(found, str) else tuning.text_of(found))
    tuning.take(None)
    return path


def ways(channels=64, outputs=32):
    x, w, y = (1, channels, 8, 8), (outputs, channels, 3, 3), (1, outputs, 8, 8)
    geometry = (1, 1), (1, 1), (1, 1)
    found = plan.plan_convolution(x, w, y, *geometry, 1, 4)
    kept = plan.plan_convolution(x, w, y, *geometry, 1, 4, kept=True)
    return [part.way == "winograd" for part in (found.forward, found.weight_gradient, kept.forward)]


def test_fixed_numbers_are_taken_until_others_are_kept(folder):
    assert (tuning.thresholds(2), tuning.told()) == (tuning.FIXED, "fixed")
    assert ways() == [False, False, False]
    file = keep(ALWAYS)
    assert ways() == [True, True, True]
    assert tuning.told().startswith(file.name + " ")
    keep(NEVER)
    assert ways() == [False, False, False]
    assert tuning.thresholds(tuning.threads_here() + 1) == tuning.FIXED


def test_the_environment_takes_fixed_numbers(folder, monkeypatch):
    monkeypatch.setenv("CAFFELITE_TUNE", "0")
    keep(ALWAYS)
    assert tuning.told() == "fixed"
    monkeypatch.setenv("CAFFELITE_TUNE", "off")
    tuning.take(None)
    with pytest.raises(caffelite.CaffeliteError, match='CAFFELITE_TUNE="off"'):
        tuning.told()


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"tiles": 3}', tuning.text_of(ALWAYS).replace("1", "0"), "\0"]
)
def test_damaged_files_are_named_and_fixed_numbers_taken(text, folder, caplog):
    file = keep(text)
    assert tuning.told() == "fixed"
    assert str(file) in caplog.text and "doctor --tune" in caplog.text


def test_a_threshold_is_from_where_on_it_won_all_races(monkeypatch):
    first = dict(zip(tuning.Thresholds._fields, (1, 3, 24, 25), strict=True))

    def races():
        return {name: lambda images, n=name: (n, images) for name in first}

    def race(prepare, images):
        name, images = prepare(images)
        return 1.0, 2.0 if images >= first[name] and images != 2 else 0.5, 1.0

    monkeypatch.setattr(tuning, "_races", races)
    monkeypatch.setattr(tuning, "_race", race)
    assert tuning.measure() == (tuning.Thresholds(12, 12, 96, 192), False)


def test_a_race_takes_both_ways_and_leaves_what_is_taken(folder, monkeypatch):
    seen = []

    def prepare(images):
        assert images == 3
        return lambda: seen.append(tuning.thresholds(1))

    monkeypatch.setattr(tuning, "TURNS", 2)
    assert len(tuning._race(prepare, 3)) == 3
    assert seen == 3 * [tuning._ALWAYS, tuning._NEVER]
    assert tuning.thresholds(1) == tuning.FIXED


def test_snapshots_and_logs_tell_and_other_numbers_are_warned_of(folder, monkeypatch, caplog):
    monkeypatch.chdir(folder)
    Path("net.prototxt").write_text(NET)
    param = caffe_pb2.SolverParameter(net="net.prototxt", base_lr=0.1, lr_policy="fixed")
    param.snapshot_prefix, param.solver_mode = "s", param.CPU
    keep(ALWAYS)
    solver = caffelite.get_solver(param)
    solver.step(1)
    _, path = solver.snapshot()
    state = caffe_pb2.SolverState.FromString(Path(path).read_bytes())
    assert state.tuning == tuning.told() == start_of(solver, [])["tuning"] != "fixed"
    solver.restore(path)
    assert "thresholds" not in caplog.text
    keep(NEVER)
    solver.restore(path)
    assert f"other thresholds of convolutions ({state.tuning})" in caplog.text
    keep(tuning.FIXED)
    _, path = solver.snapshot()
    assert not caffe_pb2.SolverState.FromString(Path(path).read_bytes()).HasField("tuning")


@pytest.mark.slow
def test_two_doctors_at_once_end_with_one_file(tmp_path):
    command = [sys.executable, "-m", "caffelite", "doctor", "--tune", "--json"]
    env = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "NUMBA_NUM_THREADS": "2"}
    both = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE) for _ in range(2)]
    reports = [json.loads(one.communicate(timeout=600)[0]) for one in both]
    (file,) = tmp_path.glob("tuning-*")
    assert tuning.Thresholds(**json.loads(file.read_text()))
    assert any(r["kernels"]["thresholds"].startswith((file.name, "fixed")) for r in reports)
