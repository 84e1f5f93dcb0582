"""view: the graph of a net's text, folds, run logs, weights, and who is served what."""

import http.client
import json
import os
import queue
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

import caffelite
from caffelite.cli import main
from caffelite.errors import CaffeliteError
from caffelite.net.missing_data import Sample
from caffelite.pictures.curves import panels
from caffelite.pictures.fold import repeats, scopes
from caffelite.proto import caffe_pb2
from caffelite.run_log.follower import Follower
from caffelite.run_log.lines import MOST_RECORD
from caffelite.run_log.reader import read_log
from caffelite.view.graph import describe
from caffelite.view.net_file import ChangedOnDiskError, NetFile
from caffelite.view.page_data import MOST_TEXT, PageData
from caffelite.view.runs import Runs
from caffelite.view.server import MOST_BODY, Server
from caffelite.view.weights import Weights, _describe

MODELS = Path(__file__).parent.parent / "models"

NET = """name: "small"
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 2 dim: 3 dim: 8 dim: 6 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 4 kernel_size: 3 stride: 2 } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "drop" type: "Dropout" bottom: "conv" top: "dropped" include { phase: TRAIN } }
layer { name: "a" type: "InnerProduct" bottom: "conv" top: "a" param { name: "w" }
        inner_product_param { num_output: 5 bias_term: false } }
layer { name: "b" type: "InnerProduct" bottom: "conv" top: "b" param { name: "w" }
        inner_product_param { num_output: 5 } }
layer { name: "rows" type: "Slice" bottom: "b" top: "b0" top: "b1" slice_param { axis: 0 } }
"""


def state(phase="TEST"):
    return caffe_pb2.NetState(phase=caffe_pb2.Phase.Value(phase))


def layers_of(text, phase="TEST", sample=None):
    return {layer["name"]: layer for layer in describe(text, state(phase), sample)["layers"]}


# The graph


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_the_graph_counts_as_summary_does(phase, tmp_path, capsys):
    path = tmp_path / "net.prototxt"
    path.write_text(NET)
    assert main(["summary", str(path), "--json", "--phase", phase]) == 0
    summary = json.loads(capsys.readouterr().out)["layers"]
    found = layers_of(NET, phase)
    assert list(found) == [layer["name"] for layer in summary]
    for layer in summary:
        told = found[layer["name"]]
        assert [blob["name"] for blob in told["bottom"]] == layer["bottom"]
        for key in ("type", "top", "learnable", "statistics", "macs", "memory"):
            assert told[key] == layer[key], (layer["name"], key)
        assert not told["problem"]


def test_lines_kinds_and_options():
    conv = layers_of(NET)["conv"]
    assert (conv["line"], conv["kind"]) == (4, "convolution")
    assert conv["facts"] == ["3×3", "4 outputs", "stride 2"]
    assert "kernel_size: 3" in conv["options"] and "bottom" not in conv["options"]
    assert conv["bottom"] == [{"name": "data", "shape": [2, 3, 8, 6]}]
    assert conv["blobs"] == [
        {"name": "weight", "shape": [4, 3, 3, 3]},
        {"name": "bias", "shape": [4]},
    ]


def test_boxes_hold_what_works_in_place_and_edges_join_them():
    graph = describe(NET, state())
    assert graph["boxes"] == [[0], [1, 2, 3], [4], [5], [6]]
    assert [(e["from"], e["to"], e["name"], e["shape"]) for e in graph["edges"]] == [
        (0, 1, "data", [2, 3, 8, 6]),
        (1, 2, "conv", [2, 4, 3, 2]),
        (1, 3, "conv", [2, 4, 3, 2]),
        (3, 4, "b", [2, 5]),
    ]


def test_a_mistake_in_one_layer_leaves_the_others_their_shapes():
    wrong = NET.replace("kernel_size: 3", "kernel_size: 9").replace('bottom: "b"', 'bottom: "bb"')
    found = layers_of(wrong)
    assert found["data"]["top"][0]["shape"] == [2, 3, 8, 6]
    assert "expected a larger one" in found["conv"]["problem"]
    assert found["conv"]["top"][0]["shape"] is None
    assert found["a"]["problem"] == "" and found["a"]["top"][0]["shape"] is None
    assert found["rows"]["problem"] == 'no layer before it produces "bb"'
    unknown = layers_of(NET.replace('"ReLU"', '"Relu"'))["relu"]
    assert unknown["problem"] == 'unknown type "Relu"; did you mean "ReLU"?'
    rule = "include { phase: TEST } exclude { phase: TRAIN }"
    assert layers_of(NET.replace('type: "ReLU"', f'type: "ReLU" {rule}'))["relu"]["problem"] == ""


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('name: "x"\nlayer { nmae: "y" }', 2, '"nmae"'),
        ('name: "x"\nlayer {', 2, "never closed"),
        ("base_lr: 0.1", 1, "belongs to a solver"),
        ('\nlayers { type: "x" }\nlayer { name: "y" }', 2, ""),
        ("\0", 1, ""),
        ("layer { " * 60, 1, ""),
    ],
)
def test_text_that_is_no_net_is_a_mistake_with_its_line(text, line, said):
    mistake = describe(text, state())["mistake"]
    assert mistake["line"] == line and mistake["column"] >= 1
    assert said in mistake["message"] and mistake["message"]


def test_half_typed_text_is_a_net_or_a_mistake():
    for length in range(0, len(NET), 7):
        found = describe(NET[:length], state())
        assert ("mistake" in found) != ("layers" in found)
        json.dumps(found, allow_nan=False)


def test_an_empty_text_is_a_net_without_layers():
    graph = describe("", state())
    assert graph["layers"] == graph["boxes"] == graph["edges"] == []
    assert graph["folds"] == {"repeats": [], "scopes": []}


DATA = """
layer { name: "d" type: "Data" top: "data" top: "label" transform_param { %s }
        data_param { source: "/nowhere/at/all" batch_size: 7 backend: LMDB } }
layer { name: "p" type: "Pooling" bottom: "data" top: "p"
        pooling_param { kernel_size: 2 stride: 2 } }
"""


@pytest.mark.parametrize(
    ("transform", "sample", "shape"),
    [
        ("crop_size: 10", None, [7, 3, 5, 5]),
        ("crop_size: 10 force_gray: true", None, [7, 1, 5, 5]),
        ("crop_size: 10", (2, 30, 20), [7, 2, 5, 5]),
        ("", (2, 30, 20), [7, 2, 15, 10]),
        ("", None, None),
    ],
)
def test_data_that_is_not_there(transform, sample, shape):
    given = sample and Sample(sample, "--data-shape")
    found = layers_of(DATA % transform, sample=given)
    assert found["p"]["top"][0]["shape"] == shape and found["d"]["missing"]
    assert "/nowhere/at/all" in found["d"]["problem"]
    assert ("--data-shape C,H,W says" in found["d"]["problem"]) == (shape is None)


def test_what_is_not_known_is_not_said_to_be_nothing():
    found = layers_of(DATA % "")
    for key in ("learnable", "statistics", "macs", "memory"):
        assert found["d"][key] is None and found["p"][key] is None
    unshaped = layers_of('layer { name: "x" type: "Input" top: "x" }')["x"]
    assert unshaped["top"][0]["shape"] is None and unshaped["missing"]
    half = layers_of(NET.replace("kernel_size: 3", "kernel_size: 9"))
    assert half["conv"]["learnable"] is None and not half["conv"]["missing"]
    assert half["relu"]["macs"] is None and half["data"]["memory"] == 4 * 2 * 3 * 8 * 6


def test_totals_are_told_of_a_sample_where_all_layers_keep_the_batch():
    graph = describe(NET, state())
    assert graph["batch"] == 2
    assert describe(DATA % "", state())["batch"] is None
    rows = NET + 'layer { name: "c" type: "InnerProduct" bottom: "b0" top: "c" '
    rows += "inner_product_param { num_output: 3 } }"
    assert describe(rows, state())["batch"] is None  # of one row of two
    assert describe("", state())["batch"] is None


def test_labels_read_from_afar_are_named_not_drawn():
    steps = "".join(
        f'layer {{ name: "s{k}" type: "AbsVal" bottom: "{f"s{k - 1}" if k else "x"}" top: "s{k}" }}'
        for k in range(20)
    )
    head = 'layer { name: "in" type: "DummyData" top: "x" top: "t" dummy_data_param {'
    text = f"{head} shape {{ dim: 2 }} }} }} {steps}"
    text += 'layer { name: "l" type: "EuclideanLoss" bottom: "s19" bottom: "t" top: "l" }'
    far = [edge["name"] for edge in describe(text, state())["edges"] if edge["far"]]
    assert far == ["t"]


# Folds


def block(name, bottom, outputs):
    """Two branches that meet: three boxes and a sum."""
    return f"""
layer {{ name: "{name}/a" type: "Convolution" bottom: "{bottom}" top: "{name}/a"
        convolution_param {{ num_output: {outputs} kernel_size: 1 }} }}
layer {{ name: "{name}/r" type: "ReLU" bottom: "{name}/a" top: "{name}/a" }}
layer {{ name: "{name}/b" type: "Convolution" bottom: "{name}/a" top: "{name}/b"
        convolution_param {{ num_output: {outputs} kernel_size: 3 pad: 1 }} }}
layer {{ name: "{name}" type: "Concat" bottom: "{bottom}" bottom: "{name}/b" top: "{name}" }}
"""


def chain(outputs):
    text = (
        'layer { name: "in" type: "Input" top: "in" input_param { shape { dim: [1, 3, 9, 9] } } }'
    )
    for k, count in enumerate(outputs):
        text += block(f"block{k}", f"block{k - 1}" if k else "in", count)
    return f'{text} layer {{ name: "end" type: "Softmax" bottom: "block{k}" top: "end" }}'


def repeated(text):
    return [tuple(fold.values()) for fold in describe(text, state())["folds"]["repeats"]]


def test_repeated_blocks_are_found_whatever_their_numbers_of_outputs():
    names = ["block0", "block1", "block2", "block3"]
    assert repeated(chain([4, 6, 8, 10])) == [(1, 3, 4, names)]
    other = chain([4, 6, 8]).replace("kernel_size: 3 pad: 1", "kernel_size: 1", 1)
    assert repeated(other) == [(4, 3, 2, names[1:3])]
    assert repeated(chain([4])) == []


def test_a_block_without_a_name_is_called_by_its_end():
    text = chain([4, 4]).replace('"block0/', '"x0/').replace('"block1/', '"y1/')
    assert repeated(text) == [(1, 3, 2, ["block0", "block1"])]


def test_scopes_of_names():
    names = "data a/x a/b/x a/b/y a/b/z a/y c a/p a/q a/r d.1.x d.1.y d.1.z d.2.x end".split()
    assert [(fold.first, fold.period, *fold.names) for fold in scopes(names)] == [
        (1, 5, "a/"), (2, 3, "a/b/"), (7, 3, "a/"), (10, 4, "d."), (10, 3, "d.1.")
    ]  # fmt: skip
    assert scopes([]) == scopes(["a/x", "a/y"]) == scopes(["x"] * 5) == []
    (only,) = scopes(["a/b/x", "a/b/y", "a/b/z"])  # one of two that hold the same
    assert only.period == 3


def test_folding_by_scopes_of_a_published_net():
    text = (MODELS / "googlenet" / "deploy.prototxt").read_text()
    names = [fold["names"] for fold in describe(text, state())["folds"]["scopes"]]
    assert names[0] == ["conv2/"]
    assert names[1:] == [[f"inception_{k}/"] for k in "3a 3b 4a 4b 4c 4d 4e 5a 5b".split()]


def test_repeats_start_where_the_fewest_blobs_are_cut():
    codes = list("xabcabcaby")
    assert repeats(codes, [0, 1, 2, 1, 2, 2, 1, 2, 2, 1, 1]) == [(3, 3, 2)]
    assert repeats(codes, [0] + [1] * 10) == [(1, 3, 2)]
    assert repeats([], [0]) == repeats(["a"], [0, 0]) == []
    assert repeats(["a"] * 4, [1] * 5) == []  # two of one box are no block


def test_many_short_blocks_go_before_a_few_long_ones():
    """As in ResNets, whose stages are alike in parts."""
    assert repeats(list("pabcabcabc" * 2), [1] * 21) == [(1, 3, 3), (11, 3, 3)]


def test_repeats_do_not_overlap():
    rng = np.random.default_rng(0)
    for _ in range(50):
        codes = rng.integers(0, 2, 60).tolist()
        taken = [
            box
            for first, period, count in repeats(codes, [1] * 61)
            for box in range(first, first + period * count)
        ]
        assert len(taken) == len(set(taken)) and max(taken, default=0) < 60


# Run logs


def event(iteration, loss=1.0, kind="train", **more):
    facts = {"event": kind, "iteration": iteration, "loss": loss, "outputs": {"loss": loss}, **more}
    return json.dumps(facts) + "\n"


def numbers(log):
    """{(phase, curve): (iterations, values)} of what is read of a log."""
    return {
        (phase, name): (list(column.iteration), list(column.value))
        for (_, _, phase, _, name), column in log.columns.of.items()
    }


def reading(path):
    log = Follower(path)
    log.read()
    return log


def test_a_log_that_grows_is_read_from_where_it_was_left(tmp_path):
    path = tmp_path / "log.jsonl"
    log = reading(path)
    assert (log.state, numbers(log)) == ("waiting for the file", {})
    path.write_text(event(0, 2.5, lr=0.1) + event(0, 3.0, "test", outputs={"acc": 0.5})[:-9])
    log.read()
    assert numbers(log) == {
        ("train", "loss"): ([0], [2.5]),
        ("train", "learning rate"): ([0], [0.1]),
    }
    path.write_text(event(0, 2.5, lr=0.1) + event(0, 3.0, "test", outputs={"acc": 0.5}))
    log.read()
    assert numbers(log)["test", "loss"] == ([0], [3]) and numbers(log)["test", "acc"] == (
        [0],
        [0.5],
    )
    before = log.version
    log.read()
    assert log.version == before
    path.write_text(event(7))
    log.read()
    assert numbers(log) == {("train", "loss"): ([7], [1])}
    (tmp_path / "new").write_text(event(5) + event(6))
    os.replace(tmp_path / "new", path)
    log.read()
    assert numbers(log) == {("train", "loss"): ([5, 6], [1, 1])}
    path.unlink()
    log.read()
    assert (log.state, numbers(log)) == ("waiting for the file", {})


def test_the_log_of_caffe_is_followed_as_it_grows(tmp_path):
    whole = (Path(__file__).parent / "golden" / "parse_log" / "run.log").read_bytes()
    path = tmp_path / "run.log"
    log = Follower(path)
    for end in range(0, len(whole) + 999, 999):
        path.write_bytes(whole[:end])
        log.read()
    assert numbers(log) == numbers(reading(path)) and log.state == "finished"
    assert len(numbers(log)["train", "loss"][0]) == 11
    assert numbers(log)["test", "accuracy"][0] == [0, 25, 50, 75, 100]


def test_lines_that_are_no_events_are_counted(tmp_path):
    bad = ["{", "[]", "7", '"x"', "null", '{"event": 1, "iteration": 1}', '{"event": "train"}',
           '{"event": "train", "iteration": 1, "loss": "much", "outputs": {}}',
           '{"event": "train", "iteration": 1, "loss": 1, "outputs": [1]}',
           '{"event": "train", "iteration": true, "loss": 1, "outputs": {}}',
           '{"event": "train", "iteration": 1, "loss": 1%s, "outputs": {}}' % ("0" * 400),
           "[" * 100_000, "\xff"]  # fmt: skip
    lines = [event(2), *bad, "", event(3)]
    (tmp_path / "log").write_text("\n".join(lines), encoding="latin-1")
    log = reading(tmp_path / "log")
    assert log.passed_over == len(bad)
    assert numbers(log)["train", "loss"][0] == [2, 3]


def test_what_is_not_finite_is_no_number_and_long_outputs_are_no_curves(tmp_path):
    outputs = {"a": [1, 2], "b": [[1], [2]], "c": [0] * 100, "d": None, "loss": 4}
    line = event(1, None, outputs=outputs)
    (tmp_path / "log").write_text(line + event(2, float("inf"), net=1, outputs={}))
    runs = Runs([tmp_path / "log"])
    panels = "loss\na[0]\na[1]\nb[1]\nd\nloss#1"
    found = runs.curves("0", panels, "iteration", "", "", "", "")
    assert {p["name"]: [c["y"] for c in p["curves"]] for p in found["panels"]} == {
        "loss": [[None]], "a[0]": [[1]], "a[1]": [[2]], "b[1]": [[2]], "d": [[None]],
        "loss#1": [[None]],
    }  # fmt: skip
    assert not any(name.startswith("c") for name in found["names"])
    assert found["runs"][0]["lost"]["lost"] == 1
    json.dumps(found, allow_nan=False)


def test_a_long_log_comes_in_pieces(tmp_path):
    lines = [event(k) for k in range(30_000)]
    lines[10] = "x" * (MOST_RECORD + 5) + "\n"
    (tmp_path / "log").write_text("".join(lines))
    log, times = Follower(tmp_path / "log"), 0
    while log.more or not times:
        log.read(seconds=0)
        times += 1
    assert times >= 6
    assert numbers(log)["train", "loss"][0] == [k for k in range(30_000) if k != 10]


def test_a_log_that_cannot_be_read_says_so(tmp_path):
    assert "cannot be read" in reading(tmp_path).state


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
def test_marks_at_the_head_of_a_log_and_odd_bytes_are_passed_over(encoding, tmp_path):
    text = ("\ufeff" if encoding == "utf-16-be" else "") + event(1) + "\r\n" + event(2)
    (tmp_path / "log").write_bytes(text.encode(encoding))
    assert numbers(reading(tmp_path / "log"))["train", "loss"][0] == [1, 2]
    assert [row.iteration for row in read_log(tmp_path / "log").train] == [1, 2]
    line = b"I0102 03:04:05.000000 1 solver.cpp:1] Iteration 3, loss = 2 \xe9\xff\n"
    (tmp_path / "log").write_bytes(b"\xff\xe9 \x80\n" + line)
    assert numbers(reading(tmp_path / "log"))["train", "loss"] == ([3], [2])


def test_a_run_begun_anew_in_the_same_log_is_another_and_one_gone_on_with_is_not(tmp_path):
    stamp = "I0102 03:04:05.000000 1 solver.cpp:1] "
    told = [(0, 5), (10, 4), (20, 3), (10, 3.5), (20, 2), (0, 6), (10, 1)]
    glog = "".join(f"{stamp}Iteration {i}, loss = {loss}\n" for i, loss in told)
    records = "".join(event(i, loss, time=1) for i, loss in told)
    for text in (glog, records):
        (tmp_path / "log").write_text(text)
        found = Runs([tmp_path / "log"]).curves("0", "loss", "iteration", "", "", "", "")
        curves = [(c["part"], c["x"], c["y"]) for c in found["panels"][0]["curves"]]
        assert curves == [("(1)", [0, 10, 20], [5, 3.5, 2]), ("(2)", [0, 10], [6, 1])]
        shown = panels({"r": read_log(tmp_path / "log")})["loss"]
        assert [(c.run, c.y) for c in shown] == [("r (1)", [5, 3.5, 2]), ("r (2)", [6, 1])]


def test_many_points_are_told_by_the_least_and_largest_of_their_parts(tmp_path):
    losses = [float(k % 50) for k in range(9000)]
    losses[1234], losses[4321], losses[5000] = 1e6, -1e6, None
    (tmp_path / "log").write_text("".join(event(k, y) for k, y in enumerate(losses)))
    runs = Runs([tmp_path / "log"])
    while runs.listing()["more"]:
        pass
    (curve,) = runs.curves("0", "loss", "iteration", "", "", "", "")["panels"][0]["curves"]
    assert curve["of"] == 9000 and len(curve["x"]) < 3000
    told = dict(zip(curve["x"], curve["y"], strict=True))
    assert (told[1234], told[4321], told[5000]) == (1e6, -1e6, None)
    near = runs.curves("0", "loss", "iteration", "1200", "1300", "", "")["panels"][0]["curves"][0]
    assert near["x"] == list(range(1200, 1301))
    smooth = runs.curves("0", "loss", "iteration", "100", "102", "50", "")["panels"][0]["curves"][0]
    assert smooth["y"] == [24.5] * 3
    whole = runs.curves("0", "loss", "iteration", "", "", "", "")
    again = runs.curves("0", "loss", "iteration", "", "", "", whole["version"])
    assert again == {"version": whole["version"], "more": False, "same": True}


def test_images_a_second(tmp_path):
    lines = [event(i, time=i / 10, seconds=2.0, images=32, outputs={}) for i in (0, 100, 200)]
    (tmp_path / "log").write_text("".join(lines))
    assert numbers(reading(tmp_path / "log"))["train", "images/s"] == ([100, 200], [1600, 1600])
    start = "I0102 03:04:{:02d}.000000 1 solver.cpp:1] "
    glog = start.format(0) + "Initializing solver from parameters: \nbase_lr: 0.5\niter_size: 2\n"
    glog += start.format(0) + "Top shape: 16 3 8 8 (3072)\n"
    glog += start.format(1) + "Iteration 0, loss = 3\n"
    glog += start.format(9) + "Iteration 20 (2.5 iter/s, 8s/20 iters), loss = 2\n"
    glog += start.format(19) + "Iteration 40, loss = 1\n"  # as Caffe of 2014 has it
    (tmp_path / "glog").write_text(glog)
    assert numbers(reading(tmp_path / "glog"))["train", "images/s"] == ([20, 40], [80, 64])
    assert reading(tmp_path / "glog").starts[0]["solver"] == "base_lr: 0.5\niter_size: 2"


def test_the_states_of_runs(tmp_path):
    done = json.dumps({"event": "done", "iteration": 9}) + "\n"
    path = tmp_path / "log"
    for text, state in (
        (event(1), "going on"),
        (event(1) + done, "finished"),
        (event(1) + done.replace("done", "stopped"), "stopped"),
        (event(1) + done + done.replace("done", "start"), "going on"),
    ):
        path.write_text(text)
        assert reading(path).state == state
    long_ago = time.time() - 1000
    os.utime(path, (long_ago, long_ago))
    assert reading(path).state == "stopped"  # it was killed


def test_runs_beneath_a_folder_are_found_by_what_is_in_files(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "caffe.INFO").write_text("Log file created at: 2015/01/01\n")
    (tmp_path / "a" / "net.prototxt").write_text(NET)
    (tmp_path / "a" / "x.caffemodel").write_bytes(bytes(range(256)) * 9)
    (tmp_path / "x").write_text("hello\n" + event(3, 0.5))
    (tmp_path / ".hidden").write_text(event(1))
    (tmp_path / "loop").symlink_to(tmp_path)
    runs = Runs([], str(tmp_path))
    found = runs.listing()
    assert [line["name"] for line in found["runs"]] == ["x", "a/b/caffe.INFO"]
    assert (found["named"], found["left_off"], found["more"]) == (0, False, False)
    assert found["runs"][0]["iteration"] == 3
    assert found["runs"][0]["loss"]["best"] == found["runs"][0]["loss"]["last"] == 0.5


def started(text, net, **more):
    facts = {"event": "start", "iteration": 0, "time": 1, "solver": text, "nets": {"n": net}}
    return json.dumps(facts | more) + "\n"


def test_runs_are_compared(tmp_path):
    one = started("base_lr: 0.1 momentum: 0.9", NET, seed=1, command=["train", "--set", "net.x=3"])
    other = started(
        "base_lr: 0.2 momentum: 0.9", NET.replace("num_output: 4", "num_output: 6"), seed=2
    )
    tests = [event(k, 1 / k, "test", outputs={"acc": k / 10}) for k in (1, 2, 3)]
    (tmp_path / "one").write_text(one + "".join(tests))
    (tmp_path / "other").write_text(other + "".join(reversed(tests[:2])))
    (tmp_path / "third").write_text(event(1, 3))
    runs = Runs([tmp_path / name for name in ("one", "other", "third")])
    found = runs.compare("0,1,2")
    settings = {row["name"]: row["values"] for row in found["settings"]}
    assert settings["base_lr"] == ["0.1", "0.2", None] and settings["seed"] == ["1", "2", None]
    assert settings["--set net.x"] == ["3", None, None] and "momentum" not in settings
    (net,) = (name for name in settings if "num_output" in name)
    assert settings[net] == ["4", "6", None] and net.startswith('layer "')
    assert [run["told"] for run in found["runs"]] == [True, True, False]
    best = {row["name"]: row["values"] for row in found["best"]}
    assert (best["test acc"][0]["best"], best["test acc"][0]["iteration"]) == (0.3, 3)
    assert best["test loss"][0]["best"] == 1 / 3 and best["train loss"][2]["last"] == 3
    assert best["test acc"][2]["best"] is None
    json.dumps(found, allow_nan=False)


def test_settings_are_read_of_caffes_own_logs(tmp_path):
    stamp = "I0102 03:04:05.000000 1 solver.cpp:1] "
    for name, rate, size in (("a", 0.1, 3), ("b", 0.01, 5)):
        lines = [
            stamp + "Initializing solver from parameters: ", f"base_lr: {rate}", "momentum: 0.9",
            'word_of_a_fork: "x"', stamp + "Creating training net from net file: n",
            stamp + "Initializing net from parameters: ", 'layer { name: "c" type: "Convolution"',
            f"convolution_param {{ kernel_size: {size} }} }}", stamp + "Creating Layer c",
            stamp + "Iteration 0, loss = 1", stamp + "Optimization Done.",
        ]  # fmt: skip
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    found = Runs([tmp_path / "a", tmp_path / "b"]).compare("0,1")
    assert {row["name"]: row["values"] for row in found["settings"]} == {
        "base_lr": ["0.1", "0.01"], 'layer "c": convolution_param.kernel_size': ["3", "5"]
    }  # fmt: skip
    other = (tmp_path / "b").read_text().replace('name: "c"', 'name: "other"')
    (tmp_path / "b").write_text(other)  # of which the types are enough
    found = Runs([tmp_path / "a", tmp_path / "b"]).compare("0,1")
    assert {row["name"]: row["values"] for row in found["settings"]} == {
        "base_lr": ["0.1", "0.01"], 'layer "c"': ['"Convolution"', None],
        'layer "other"': [None, '"Convolution"'],
    }  # fmt: skip


@pytest.mark.parametrize(
    "asked",
    [
        lambda runs: runs.curves("", "", "iteration", "", "", "", ""),
        lambda runs: runs.curves("1", "", "iteration", "", "", "", ""),
        lambda runs: runs.curves("0", "", "epochs", "", "", "", ""),
        lambda runs: runs.curves("0", "", "iteration", "", "", "0", ""),
        lambda runs: runs.curves("0", "", "iteration", "x", "", "", ""),
        lambda runs: runs.curves(",".join("0" * 99), "", "iteration", "", "", "", ""),
        lambda runs: runs.spread("0", "", "x"),
        lambda runs: runs.compare("../etc"),
    ],
)
def test_questions_that_make_no_sense_are_refused(asked, tmp_path):
    (tmp_path / "log").write_text(event(1))
    with pytest.raises(CaffeliteError):
        asked(Runs([tmp_path / "log"]))


def test_histograms_over_time_are_read_from_the_log_when_they_are_asked_for(tmp_path):
    told = {"min": -1.0, "max": 1.0, "mean": 0.0, "std": 0.5, "histogram": [1, 2, 1]}
    bad = [{"histogram": "x"}, told | {"min": None}, told | {"histogram": []}, 7]
    lines = [event(0)]
    for k, data in enumerate([told, told | {"mean": 0.5}, *bad]):
        record = {"event": "histograms", "iteration": k, "blobs": {"a/<w>": {"data": data}}}
        lines.append(json.dumps(record) + "\n")
    (tmp_path / "log").write_text("".join(lines))
    found = Runs([tmp_path / "log"]).spread("0", "no such", "data")
    assert (found["blobs"], found["records"]) == (["a/<w>"], 6)
    assert [(c["iteration"], c["mean"], c["heights"]) for c in found["columns"]] == [
        (0, 0, [1, 2, 1]), (1, 0.5, [1, 2, 1])
    ]  # fmt: skip
    assert Runs([tmp_path / "log"]).spread("0", "", "diff")["columns"] == []


# Weights


@pytest.mark.parametrize("ending", ["caffemodel", "h5", "safetensors"])
def test_histograms_and_filters(ending, tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)
    net = caffelite.Net(str(tmp_path / "net.prototxt"), caffelite.TEST)
    values = np.arange(4 * 27, dtype=np.float32).reshape(4, 3, 3, 3)
    net.params["conv"][0].data[...] = values
    path = str(tmp_path / f"w.{ending}")
    if ending == "h5":
        net.save_hdf5(path)
    else:
        net.save(str(tmp_path / "w.caffemodel"))
    if ending == "safetensors":
        pytest.importorskip("safetensors")
        assert main(["convert", str(tmp_path / "w.caffemodel"), path]) == 0
    weight, bias = Weights(path).describe("conv")
    assert weight["shape"] == [4, 3, 3, 3] and bias["shape"] == [4]
    assert (weight["min"], weight["max"], weight["mean"]) == (0, 107, 53.5)
    assert weight["std"] == pytest.approx(values.std(), rel=1e-6)
    assert sum(weight["histogram"]) == weight["count"] == 108 and weight["zeros"] == 1
    filters = weight["filters"]
    assert (filters["count"], filters["of"], filters["color"]) == (4, 4, True)
    assert bias["filters"] is None and bias["zeros"] == 4
    assert Weights(path).describe("relu") is None


def test_pixels_of_filters_go_from_black_to_white_in_rgb(tmp_path):
    import base64

    from caffelite.view.weights import _filters

    values = np.zeros((2, 3, 1, 2), np.float32)
    values[0, 2, 0, 1] = 2  # the last channel of BGR
    values[1, 0, 0, 0] = np.nan
    told = _filters(values, 0, 2)
    pixels = np.frombuffer(base64.b64decode(told["pixels"]), np.uint8).reshape(2, 1, 2, 3)
    assert pixels[0, 0, 1].tolist() == [255, 0, 0] and pixels.sum() == 255
    gray = np.arange(300 * 2 * 9, dtype=np.float64).reshape(300, 2, 3, 3)
    told = _filters(gray, gray.min(), gray.max())
    assert (told["count"], told["of"], told["color"]) == (256, 600, False)
    assert _filters(np.zeros((4, 3, 1, 1)), 0, 0) is None
    assert _filters(np.zeros((4, 3)), 0, 0) is None


def test_large_blobs_are_looked_at_in_pieces():
    values = np.random.default_rng(0).normal(3, 2, 3_000_001).astype(np.float32)
    values[7], values[2_500_000] = np.inf, 0
    finite = np.delete(values, 7).astype(np.float64)
    told = _describe(values)
    assert (told["count"], told["not_finite"], told["zeros"]) == (values.size, 1, 1)
    assert told["mean"] == pytest.approx(finite.mean(), rel=1e-9)
    assert told["std"] == pytest.approx(finite.std(), rel=1e-6)
    np.testing.assert_array_equal(told["histogram"], np.histogram(np.delete(values, 7), 64)[0])
    assert "min" not in _describe(np.full(3, np.nan)) and "min" not in _describe(np.zeros(0))


def test_old_shapes_and_values_that_are_not_finite(tmp_path):
    net = caffe_pb2.NetParameter()
    layer = net.layers.add(name="ip")
    blob = layer.blobs.add(num=1, channels=1, height=2, width=3)
    blob.data.extend([1, 2, float("nan"), float("inf"), 0, 0])
    layer.blobs.add(num=1, channels=1, height=1, width=5).data.extend([1.0])
    (tmp_path / "w.caffemodel").write_bytes(net.SerializeToString())
    weight, bias = Weights(str(tmp_path / "w.caffemodel")).describe("ip")
    assert weight["shape"] == [1, 1, 2, 3] and weight["not_finite"] == 2 and weight["max"] == 2
    assert bias["shape"] == [1]
    json.dumps([weight, bias], allow_nan=False)


# The file


def test_saving_keeps_newlines_and_refuses_what_changed_meanwhile(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_bytes(b'name: "a"\r\n# \xc3\xa9\r\n')
    file = NetFile(str(path))
    version = file.save('name: "b"\n# é\n', file.read()[1])
    assert path.read_bytes() == b'name: "b"\r\n# \xc3\xa9\r\n' and version == file.read()[1]
    version = file.save("# pasted\r\n", version)
    assert path.read_bytes() == b"# pasted\r\n"
    path.write_text('name: "c"\n')
    with pytest.raises(ChangedOnDiskError, match="changed on disk"):
        file.save('name: "d"\n', version)
    assert path.read_text() == 'name: "c"\n'
    assert os.listdir(tmp_path) == ["net.prototxt"]


# The server


@pytest.fixture
def server(tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)
    file = NetFile(str(tmp_path / "net.prototxt"))
    data = PageData(file, state(), runs=Runs([tmp_path / "log.jsonl"]))
    with Server(data) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server, path, method="GET", body=None, token=None, **headers):
    """(status, headers, bytes) of a request below the token's folder."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=120)
    token = server.token if token is None else token
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, f"/{token}/{path}" if token else path, body, headers)
    answer = connection.getresponse()
    found = answer.status, answer.headers, answer.read()
    connection.close()
    return found


def post(server, name, body, **headers):
    """(status, what the JSON says)"""
    headers = {"Origin": f"http://127.0.0.1:{server.server_port}", **headers}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, _, answer = ask(server, name, "POST", raw, **headers)
    return status, json.loads(answer)


def test_the_page_and_its_files_are_served(server):
    status, headers, body = ask(server, "")
    assert status == 200 and headers["Content-Type"].startswith("text/html")
    assert body.startswith(b"<!DOCTYPE html>")
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    for name in ("page.js", "page.css", "icon.svg", "vendor/codemirror.js", "vendor/LICENSES.txt"):
        status, headers, body = ask(server, name)
        assert status == 200 and body, name
    assert ask(server, "page.js?x=1")[0] == 200


def test_the_page_has_no_inline_scripts_or_styles_and_loads_nothing_from_afar():
    page = Path(caffelite.__file__).parent / "view" / "page"
    html = (page / "index.html").read_text()
    assert " style=" not in html and "<style" not in html and " on" + "click" not in html
    assert html.count("<script") == html.count('<script type="module" src=') == 1
    own = [path for path in page.iterdir() if path.suffix in (".js", ".css", ".html")]
    for path in own:
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text and "innerHTML" not in text, path.name


def test_what_the_net_is(server):
    status, headers, body = ask(server, "net")
    found = json.loads(body)
    assert status == 200 and headers["Content-Type"] == "application/json"
    assert found["text"] == NET and found["phase"] == "TEST" and found["weights"] is None


@pytest.mark.parametrize("token", ["x", "%00", "%C3%A9", "a" * 5000])
def test_without_the_token_there_is_nothing(server, token):
    for path in ("", "net", "page.js"):
        status, _, body = ask(server, path, token=token)
        assert status == 403 and server.token.encode() not in body
    assert ask(server, "/", token="")[0] == 403
    assert ask(server, "/net", token="")[0] == 403
    assert ask(server, f"/{server.token[:-1]}/", token="")[0] == 403


def test_the_code_for_browsers_works_once(server):
    path = "/" + server.url_once.rpartition("/")[2]
    status, headers, _ = ask(server, path, token="")
    assert status == 303 and headers["Location"] == f"/{server.token}/"
    assert ask(server, path, token="")[0] == 403
    status, headers, _ = ask(server, f"/{server.token}", token="")
    assert status == 303 and headers["Location"] == f"/{server.token}/"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:{port}", 200),
        ("localhost:{port}", 200),
        ("evil.example:{port}", 403),
        ("127.0.0.1", 403),
        ("127.0.0.1:1", 403),
        ("127.0.0.1:{port}.evil.example", 403),
        ("", 403),
    ],
)
def test_only_our_own_host_is_answered(server, host, status):
    assert ask(server, "net", Host=host.format(port=server.server_port))[0] == status


@pytest.mark.parametrize(
    "path",
    [
        "../net", "..%2f..%2fsetup.cfg", "vendor/../page.js", "/etc/passwd", "//etc/passwd",
        "%2e%2e/%2e%2e/etc/passwd", "vendor", "vendor/", "page.js/", "page.js%00", "index.html/..",
        "server.py", "../server.py", "__init__.py", "token", "serve_forever", "data", "graph",
        "save",
    ],
)  # fmt: skip
def test_only_the_pages_own_files_can_be_had(server, path):
    assert ask(server, path)[0] == 404


def test_the_graph_of_edited_text(server):
    status, found = post(server, "graph", {"text": NET.replace("stride: 2", ""), "phase": "TEST"})
    assert status == 200 and found["layers"][1]["top"][0]["shape"] == [2, 4, 6, 4]
    assert post(server, "graph", {"text": "layer {", "phase": "TRAIN"})[1]["mistake"]["line"] == 1


def test_lint_of_edited_text(server):
    status, found = post(server, "lint", {"text": NET.replace("kernel_size: 3", "kernel_size: 9")})
    assert status == 200
    assert [f["layer"] for f in found["findings"] if f["rule"] == "shape"] == ["conv"]


def test_names_are_told_as_they_are_for_the_page_sets_them_as_text(server):
    name = "<script>alert(1)</script>"
    status, found = post(server, "graph", {"text": f"name: '{name}'", "phase": "TEST"})
    assert status == 200 and found["name"] == name
    status, headers, body = ask(server, f"<b>{name}".replace(" ", ""))
    assert headers["Content-Type"] == "application/json" and b"script" not in body


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400), (b"[]", 400), (b"{", 400), (b"\xff", 400), (b"[" * 100_000, 400), ({}, 400),
        ({"text": 1, "phase": "TEST"}, 400), ({"text": "", "phase": None}, 400),
        ({"text": "", "phase": "TRIAN"}, 422),
    ],
)  # fmt: skip
def test_bodies_that_are_none(server, body, status):
    assert post(server, "graph", body)[0] == status


def test_requests_from_other_pages_are_refused(server):
    body = {"text": NET, "phase": "TEST"}
    assert post(server, "graph", body)[0] == 200
    for origin in ("http://evil.example", "null", f"https://127.0.0.1:{server.server_port}", ""):
        assert post(server, "graph", body, Origin=origin)[0] == 403, origin


def test_sizes_are_bounded(server):
    for length, status in (("x", 411), ("-1", 411), (str(MOST_BODY + 1), 413), ("9" * 30, 413)):
        assert post(server, "graph", b"", Content_Length=length)[0] == status, length
    assert ask(server, "net", Cookie="x" * 70_000)[0] == 431
    assert ask(server, "x" * 70_000)[0] == 414


@pytest.mark.parametrize(
    "raw",
    ["", "\0\0\0\0", "GET", "GET / HTTP/9.9", "X / HTTP/1.1", "GET / HTTP/1.1\r\nHost", "GET /"],
)
def test_what_is_no_request_does_no_harm(server, raw):
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=120) as connection:
        connection.sendall(raw.encode() + b"\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass
    assert ask(server, "net")[0] == 200


def test_saving(server, tmp_path):
    path = tmp_path / "net.prototxt"
    version = json.loads(ask(server, "net")[2])["version"]
    status, found = post(server, "save", {"text": "# new\n", "version": version})
    assert status == 200 and path.read_text() == "# new\n"
    status, refused = post(server, "save", {"text": "# newer\n", "version": version})
    assert status == 409 and "changed on disk" in refused["error"]
    assert path.read_text() == "# new\n"
    path.unlink()
    assert post(server, "save", {"text": "#\n", "version": found["version"]})[0] == 422
    assert not path.exists()


def test_of_many_savers_at_once_one_wins(server):
    version = json.loads(ask(server, "net")[2])["version"]

    def save(k):
        return post(server, "save", {"text": f"# {k}\n", "version": version})[0]

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(save, range(8))) == [200] + [409] * 7


def test_many_requests_at_once(server, tmp_path):
    (tmp_path / "log.jsonl").write_text(event(1))

    def visit(k):
        size = 1 + k % 3
        text = NET.replace("kernel_size: 3", f"kernel_size: {size}")
        status, found = post(server, "graph", {"text": text, "phase": "TEST"})
        assert status == 200 and found["layers"][1]["blobs"][0]["shape"] == [4, 3, size, size]
        run = json.loads(ask(server, "curves?runs=0&panels=loss&x=iteration")[2])
        return len(run["panels"][0]["curves"][0]["x"])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(visit, range(40))) == [1] * 40


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\nb\0", "line 2: the character U+0000"),
        ("\ud800", "line 1: the character U+D800"),
        ("\udfff\n", "line 1: the character U+DFFF"),
        ("é" * (MOST_TEXT // 2 + 1), "more than 8 MB"),
    ],
)
def test_what_no_text_file_holds_is_refused(server, tmp_path, text, said):
    version = json.loads(ask(server, "net")[2])["version"]
    for name, more in (("save", {"version": version}), ("graph", {"phase": "TEST"}), ("lint", {})):
        status, answer = post(server, name, {"text": text, **more})
        assert status in (400, 413) and said in answer["error"], name
    status, _ = post(server, "save", {"text": "# \U0001f600 é \x07\n", "version": version})
    assert status == 200 and (tmp_path / "net.prototxt").read_text() == "# \U0001f600 é \x07\n"


# fmt: off
ODD = ["", "\0", "\ud800", "\x1b[2J", "%", "..", "é", "\u202e", "x" * 5000, "1e999", "NaN", "null",
       "[", '"', "'", "TEST", "TRAIN", "0-0", "conv", "1" * 5000, "layer {", NET, "\r\n", " "]
# fmt: on


def odd_request(draw, server):
    """The bytes of a request: what a page sends, with something odd in it, by `draw`, a Random."""
    name = draw.choice(
        [
            "",
            "net",
            "curves",
            "complete",
            "spread",
            "weights",
            "graph",
            "lint",
            "save",
            "page.js",
            "none",
        ]
    )
    method = draw.choice(["GET", "POST", "POST", "POST", "HEAD", "PUT", "OPTIONS", "GE\0T"])
    keys = draw.choice([("text", "phase"), ("text",), ("text", "version"), ("layer",), ("cursor",)])
    values = [draw.choice([*ODD, 1, 1e300, None, True, [], {}, [[]], {"text": "x"}]) for _ in keys]
    body = json.dumps(dict(zip(keys, values, strict=True))).encode()
    if draw.random() < 0.2:
        body = bytearray(body)
        body[draw.randrange(len(body))] = draw.randrange(256)
    words = [f"{k}={v}" for k, v in zip(keys, values, strict=True)]
    query = draw.choice(["", "?" + "&".join(words)]).replace("\n", "%0A").replace(" ", "+")
    host = f"127.0.0.1:{server.server_port}"
    heads = {
        "Host": draw.choice([host] * 9 + ["evil.example"]),
        "Origin": draw.choice([f"http://{host}"] * 9 + ["null"]),
        "Content-Length": draw.choice([len(body)] * 9 + [0, len(body) - 1, "-1", "1e3", "9" * 20]),
        draw.choice(["Expect", "Transfer-Encoding", "Cookie", "X"]): draw.choice(
            ["100-continue", "chunked", "x" * 1000, "é"]
        ),
        "Connection": "close",
    }
    start = f"{method} /{server.token}/{name}{query} HTTP/{draw.choice(['1.1'] * 9 + ['1.0'])}"
    lines = [start, *(f"{key}: {value}" for key, value in heads.items()), "", ""]
    return "\r\n".join(lines).encode("utf-8", "replace") + body


def answer_to(server, raw):
    """The status lines of what the server says until it hangs up."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=60) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    return [int(code) for code in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)]


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.long)])
def test_odd_requests_get_an_answer_and_change_no_file(server, tmp_path, count):
    server.data.stored_weights = huge_weights(tmp_path)
    (tmp_path / "log.jsonl").write_text(event(1))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    told = set()
    for seed in range(count):
        raw = odd_request(random.Random(seed), server)
        codes = answer_to(server, raw)
        assert codes and all(code not in (500, 502) for code in codes), (seed, raw[:500])
        told.update(codes)
    assert {200, 400, 403, 404, 422, 501} <= told
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def huge_weights(folder):
    net = caffe_pb2.NetParameter()
    blob = net.layer.add(name="conv", type="Convolution").blobs.add()
    blob.shape.dim.extend([1, 1, 2, 2])
    blob.double_data.extend([1e300, -1.7e308, 1.7e308, 0])
    (folder / "huge.caffemodel").write_bytes(net.SerializeToString())
    return Weights(str(folder / "huge.caffemodel"))


def test_values_at_the_ends_of_their_type_have_a_histogram(server, tmp_path):
    server.data.stored_weights = huge_weights(tmp_path)
    status, _, body = ask(server, "weights?layer=conv")
    [blob] = json.loads(body)["blobs"]
    assert status == 200 and (blob["min"], blob["max"]) == (-1.7e308, 1.7e308)
    assert blob["mean"] == pytest.approx(0.25e300, rel=1e-6)
    assert blob["std"] == pytest.approx(1.7e308 / 2**0.5)
    assert sum(blob["histogram"]) == 4 and blob["zeros"] == 1
    ends = np.array([-3.4e38, 3.4e38, 1e-30, 0], np.float32).reshape(1, 1, 2, 2)
    told = _describe(ends)
    assert sum(told["histogram"]) == 4 and told["zeros"] == 1
    assert told["std"] == pytest.approx(3.4e38 / 2**0.5, rel=1e-6)
    assert told["filters"]["count"] == 1


def test_many_connections_may_wait(tmp_path):
    """Nobody accepts them here; more than fit are reset, or wait for a second try."""
    (tmp_path / "net.prototxt").write_text(NET)
    data = PageData(NetFile(str(tmp_path / "net.prototxt")), state())
    with Server(data) as server, ExitStack() as stack:
        for _ in range(50):
            place = "127.0.0.1", server.server_port
            stack.enter_context(socket.create_connection(place, timeout=0.5))


def test_who_sends_more_than_is_wanted_gets_the_answer(server):
    """A connection that is closed on unread data is reset, and the answer lost."""
    head = f"POST /x/save HTTP/1.1\r\nHost: x\r\nContent-Length: {1 << 20}\r\n\r\n".encode()
    for _ in range(20):
        assert answer_to(server, head + bytes(1 << 20)) == [403]


def test_a_bug_is_told_and_the_server_goes_on(server, monkeypatch):
    monkeypatch.setattr(server.data, "net", lambda: 1 / 0)
    status, _, body = ask(server, "net")
    assert status == 500 and json.loads(body) == {"error": "ZeroDivisionError: division by zero"}
    assert ask(server, "")[0] == 200


# The command


def start(*words, **options):
    command = [sys.executable, "-m", "caffelite", "view", *map(str, words), "--no-browser"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **pipes, **options)


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ")
def test_the_command_prints_its_address_and_ends_on_ctrl_c(tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)
    process = start(tmp_path / "net.prototxt")
    url = process.stdout.readline().strip()
    host, _, token = url.removeprefix("http://").rstrip("/").partition("/")
    connection = http.client.HTTPConnection(host, timeout=120)
    connection.request("GET", f"/{token}/net")
    assert json.loads(connection.getresponse().read())["text"] == NET
    process.send_signal(signal.SIGINT)  # with a connection that is still open
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130 and not out and "Traceback" not in err
    assert token not in err and err.splitlines()[-1] == "interrupted"


def test_browsers_are_started_with_the_code_which_others_may_see(tmp_path, monkeypatch, capsys):
    opened = queue.Queue()
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("webbrowser.open", opened.put)
    monkeypatch.setattr(Server, "serve_forever", lambda self: None)
    (tmp_path / "net.prototxt").write_text(NET)
    assert main(["view", str(tmp_path / "net.prototxt")]) == 0
    printed = capsys.readouterr().out.strip()
    url = opened.get(timeout=120)
    assert url.startswith("http://127.0.0.1:") and not url.endswith("/")
    assert printed.endswith("/") and printed.split("/")[3] not in url


def test_a_port_in_use(tmp_path, capsys):
    (tmp_path / "net.prototxt").write_text(NET)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        words = ["view", str(tmp_path / "net.prototxt"), "--port", str(port), "--no-browser"]
        assert main(words) == 1
    err = capsys.readouterr().err
    assert f"port {port}" in err and "in use" in err and "--port" in err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["view"], 2, "MODEL"),
        (["view", "a", "--model", "b"], 2, "MODEL"),
        (["view", "net", "--port", "80"], 2, "1024 to 65535"),
        (["view", "net", "--port", "99999"], 2, "1024 to 65535"),
        (["view", "net", "--data-shape", "3,x,2"], 2, "C,H,W"),
        (["view", "net", "--data-shape", "3,0,2"], 2, "C,H,W"),
        (["view", "none"], 1, "none: no such file"),
        (["view", "."], 1, "this is a folder"),
        (["view", "net", "--weights", "none.caffemodel"], 1, "none.caffemodel"),
        (["view", "net", "--weights", "net"], 1, "net"),
        (["view", "large"], 1, "too much to edit"),
    ],
)
def test_mistakes_are_told(words, code, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("net").write_text(NET)
    Path("large").write_text("#" * (MOST_TEXT + 1))
    assert main([*words, "--no-browser"]) == code
    err = capsys.readouterr().err
    assert said in err and "Traceback" not in err


def test_weights_that_are_cut_off_while_they_are_shown_are_an_error(tmp_path):
    path = tmp_path / "w.caffemodel"
    layer = caffe_pb2.LayerParameter(name="ip")
    layer.blobs.add(data=[1.0] * 100_000).shape.dim.append(100_000)
    path.write_bytes(caffe_pb2.NetParameter(layer=[layer]).SerializeToString())
    weights = Weights(str(path))
    os.truncate(path, 10)
    with pytest.raises(CaffeliteError, match="w.caffemodel: was cut off while it was read"):
        weights.describe("ip")


def test_weights_whose_shape_cannot_be_are_shown_flat(tmp_path):
    path = tmp_path / "w.caffemodel"
    net = caffe_pb2.NetParameter()
    for k, dims in enumerate([[-1, -3], [2**40, 2**40], [1] * 70]):
        layer = net.layer.add(name=f"l{k}", type="InnerProduct")
        layer.blobs.add(shape={"dim": dims}, data=[1, 2, 3])
    path.write_bytes(net.SerializeToString())
    weights = Weights(str(path))
    for k in range(3):
        assert weights.describe(f"l{k}")[0]["shape"] == [3]
