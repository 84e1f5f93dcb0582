"""The run log: what a training writes about itself, and how that is read again."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest

import caffelite
from caffelite.cli import main
from caffelite.data.image import decode
from caffelite.pictures.curves import panels
from caffelite.proto.text import parse
from caffelite.run_log import watch
from caffelite.run_log.follower import Follower
from caffelite.run_log.histogram import histogram
from caffelite.run_log.reader import read_log, records

NET = """
name: "tiny"  # as its author wrote it
layer { name: "x" type: "DummyData" top: "x" dummy_data_param {
  shape { dim: 3 dim: 3 dim: 8 dim: 8 } data_filler { type: "gaussian" } } }
layer { name: "y" type: "DummyData" top: "y" dummy_data_param { shape { dim: 3 } } }
layer { name: "conv" type: "Convolution" bottom: "x" top: "c"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "ip" type: "InnerProduct" bottom: "c" top: "ip" param { lr_mult: 0 }
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "y" top: "loss" }
"""
SOLVER = """
net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 4 display: 2 random_seed: 7
snapshot: 2 snapshot_prefix: "s"
"""
TRAIN = ["train", "--solver", "solver.prototxt", "--log", "log.jsonl"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(NET)
    Path("solver.prototxt").write_text(SOLVER)


def of_kind(kind):
    return [record for record in records("log.jsonl") if record["event"] == kind]


def test_the_first_record_tells_what_was_trained(folder):
    assert main([*TRAIN, "--iterations", "2"]) == 0
    first = next(records("log.jsonl"))
    assert (first["event"], first["iteration"], first["seed"]) == ("start", 0, 7)
    assert first["command"] == ["caffelite", *TRAIN, "--iterations", "2"]
    assert first["nets"] == {"net.prototxt": NET}
    assert parse(first["solver"], caffelite.proto.caffe_pb2.SolverParameter).max_iter == 2
    assert first["dtype"] == "float32" and first["threads"] >= 1
    assert first["versions"]["numpy"] == np.__version__
    assert main([*TRAIN, "--resume"]) == 0
    assert [start["iteration"] for start in read_log("log.jsonl").starts] == [0, 2]
    assert [row.iteration for row in read_log("log.jsonl").train] == [0, 2]


def test_a_net_that_holds_weights_is_left_out_of_the_log(folder, monkeypatch):
    monkeypatch.setattr("caffelite.run_log.start.MOST_TEXT", 300)  # more than the solver has
    assert main(TRAIN) == 0
    (start,) = of_kind("start")
    assert start["nets"] == {"net.prototxt": None} and start["solver"]


def test_histograms_of_what_is_learned_and_of_gradients(folder):
    assert main([*TRAIN, "--histograms", "3"]) == 0
    first, second = of_kind("histograms")
    assert (first["iteration"], second["iteration"]) == (0, 3)
    assert list(first["blobs"]) == ["conv/weight", "conv/bias", "ip/weight", "ip/bias"]
    weight = first["blobs"]["conv/weight"]
    assert weight["data"]["shape"] == [4, 3, 3, 3] and sum(weight["data"]["histogram"]) == 108
    assert weight["diff"]["max"] > 0 > weight["diff"]["min"]
    assert "diff" not in first["blobs"]["ip/weight"]  # it is frozen
    assert weight["data"]["mean"] != second["blobs"]["conv/weight"]["data"]["mean"]


def test_histograms_come_half_as_often_each_time_the_iterations_double():
    due = [i for i in range(3200) if watch.is_due(i, 10, 20)]
    assert due[:41] == list(range(0, 401, 10))
    assert due[41:44] == [420, 440, 460]
    steps = {i: due[k + 1] - i for k, i in enumerate(due[:-1])}
    assert [steps[i] for i in (390, 400, 780, 800, 1560, 1600, 3040)] == [
        10,
        20,
        20,
        40,
        40,
        80,
        80,
    ]
    assert len([i for i in range(0, 10**6, 10) if watch.is_due(i, 10, 20)]) < 20 * 15
    assert not any(watch.is_due(i, 0, 20) for i in range(9))
    assert watch._most(10**9) == watch.LEAST and watch._most(1200 * 8) == 873


def test_pictures_of_filters_and_of_the_batch(folder):
    assert main([*TRAIN, "--log-pictures", "2"]) == 0
    found = of_kind("picture")
    assert [(p["iteration"], p["name"]) for p in found] == [
        (0, "conv filters"), (0, "x"), (2, "conv filters"), (2, "x")
    ]  # fmt: skip
    pixels = decode(base64.b64decode(found[0]["png"]), True)
    assert pixels.shape[0] == 3 and pixels.shape[2] >= 640
    log = Follower("log.jsonl")
    log.read()
    assert {name: iteration for name, (iteration, _) in log.pictures.items()} == {
        "conv filters": 2, "x": 2
    }  # fmt: skip


def test_large_pictures_lose_pixels(monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    monkeypatch.setattr(watch, "MOST_PICTURE", 4000)
    found = decode(base64.b64decode(watch._png(pixels)), True)
    np.testing.assert_array_equal(found.transpose(1, 2, 0)[..., ::-1], pixels[::2, ::2])


@pytest.mark.parametrize("png", [7, "", "<svg>", "a b", None])
def test_what_is_no_picture_is_not_shown(png, tmp_path):
    record = {"event": "picture", "iteration": 1, "name": "x", "png": png}
    (tmp_path / "log").write_text(json.dumps(record) + "\n")
    log = Follower(tmp_path / "log")
    log.read()
    assert not log.pictures


def test_a_histogram_counts_what_is_finite():
    told = histogram(np.array([0, 1, 1, np.nan, -3, np.inf], np.float32))
    assert (told["count"], told["not_finite"], told["zeros"]) == (6, 2, 1)
    assert (told["min"], told["max"], sum(told["histogram"])) == (-3, 1, 4)
    assert histogram(np.full(2, np.nan)) == {"shape": [2], "count": 2, "not_finite": 2}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--log", "l", "--log-histograms", "0"], "--log-histograms: expected at least 1, not 0"),
        (["--log-pictures", "5"], "--log-pictures needs --log"),
    ],
)
def test_flags_that_make_no_sense(folder, capsys, flags, said):
    assert main(["train", "--solver", "solver.prototxt", *flags]) == 2
    assert said in capsys.readouterr().err


def test_stages_in_one_log_are_curves_of_their_own(tmp_path):
    """The second was taken for the first, gone on from iteration 0, and the first left out."""
    lines = []
    for time, stage in enumerate(("out/a", "out/b", "out/b")):
        start = {"event": "start", "iteration": 0, "time": time}
        lines.append(start | {"solver": f'base_lr: 1\nsnapshot_prefix: "{stage}"\n'})
        row = {"event": "train", "iteration": 5 * time, "time": time, "loss": time, "outputs": {}}
        lines += [row, row | {"iteration": 9}]
    path = tmp_path / "run.json"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines[1:]))  # as old logs begin
    found = panels({"run": read_log(path)})["loss"]
    assert [c.run for c in found] == ["run"]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = panels({"run": read_log(path)})["loss"]
    assert [(c.run, c.x) for c in found] == [("run: out/a", [0, 9]), ("run: out/b", [5, 9])]
