"""Measures: each can be merged, to the bit; solvers' tests and monitors ask them."""

import json
from pathlib import Path

import numpy as np
import pytest

import caffelite
from caffelite import measures
from caffelite.cli import main
from caffelite.errors import NetError, SolverError
from caffelite.layers.loss.softmax_with_loss import SoftmaxWithLoss
from caffelite.measures import MEASURES, Batch, Measure
from caffelite.measures._exact import ExactSum
from caffelite.net import Net
from caffelite.proto import caffe_pb2
from caffelite.proto.text import parse

SCORED = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 7 } } }
layer { name: "y" type: "Input" top: "y" input_param { shape { dim: 4 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "x" bottom: "y" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "x" bottom: "y" top: "accuracy" }
"""
MAPPED = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 6 dim: 2 dim: 3 } } }
layer { name: "y" type: "Input" top: "y" input_param { shape { dim: 4 } } }
layer { name: "m" type: "Reshape" bottom: "y" top: "m" reshape_param { shape { dim: 4 dim: 1 } } }
layer { name: "t" type: "Tile" bottom: "m" top: "t" tile_param { axis: 1 tiles: 6 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "x" bottom: "t" top: "loss"
  loss_param { ignore_label: 2 } }
"""
VALUED = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 3 } } }
layer { name: "y" type: "Input" top: "y" input_param { shape { dim: 4 dim: 3 } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "x" bottom: "y" top: "loss" }
"""
LABELLED = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 5 } } }
layer { name: "s" type: "Input" top: "s" input_param { shape { dim: 4 dim: 5 } } }
layer { name: "y" type: "Threshold" bottom: "s" top: "y" }
layer { name: "loss" type: "SigmoidCrossEntropyLoss" bottom: "x" bottom: "y" top: "loss" }
"""
DETECTED = """
layer { name: "found" type: "Input" top: "found"
  input_param { shape { dim: 1 dim: 1 dim: 30 dim: 7 } } }
layer { name: "true" type: "Input" top: "true"
  input_param { shape { dim: 1 dim: 1 dim: 12 dim: 8 } } }
layer { name: "eval" type: "DetectionEvaluate" bottom: "found" bottom: "true" top: "eval"
  detection_evaluate_param { num_classes: 4 evaluate_difficult_gt: false } }
"""
IN_REGIONS = """
layer { name: "rois" type: "Input" top: "rois" input_param { shape { dim: 60 dim: 5 } } }
layer { name: "of_regions" type: "DummyData" top: "scores" top: "codes" top: "sizes"
  dummy_data_param { shape { dim: 60 dim: 3 } shape { dim: 60 dim: 12 } shape { dim: 4 dim: 3 }
    data_filler { value: 0.5 } data_filler { } data_filler { value: 80 } } }
layer { name: "found" type: "RoIDetectionOutput" bottom: "rois" bottom: "scores" bottom: "codes"
  bottom: "sizes" top: "found" roi_detection_output_param { num_classes: 3 } }
layer { name: "true" type: "Input" top: "true"
  input_param { shape { dim: 1 dim: 1 dim: 12 dim: 8 } } }
layer { name: "eval" type: "DetectionEvaluate" bottom: "found" bottom: "true" top: "eval"
  detection_evaluate_param { num_classes: 4 evaluate_difficult_gt: false } }
"""
CELLS = """
layer { name: "cells" type: "Input" top: "cells" input_param { shape { dim: 4 dim: 52 } } }
layer { name: "objects" type: "Input" top: "objects" input_param { shape { dim: 4 dim: 28 } } }
layer { name: "eval" type: "EvalDetection" bottom: "cells" bottom: "objects" top: "eval"
  eval_detection_param { side: 2 num_class: 3 num_object: 2 threshold: 0.1 } }
"""
STEPS = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 3 dim: 7 } } }
layer { name: "s" type: "Input" top: "s" input_param { shape { dim: 4 dim: 3 } } }
layer { name: "y" type: "Threshold" bottom: "s" top: "y" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "x" bottom: "y" top: "loss"
  softmax_param { axis: 2 } }
"""
BOXES = ("found", "true")
NETS = {
    "classification": SCORED,
    "accuracy": SCORED,
    "detection": DETECTED,
    "proposals": IN_REGIONS,
    "cells": CELLS,
    "multilabel": LABELLED,
    "segmentation": MAPPED,
    "regression": VALUED,
    "perplexity": STEPS,
}  # one that asks for each measure


@pytest.fixture
def lines(caplog):
    caplog.set_level("INFO", "caffelite")
    return lambda: [record.getMessage() for record in caplog.records]


def net_of(text):
    return Net.from_param(parse(text, caffe_pb2.NetParameter))


def made(name, net):
    """A new measure of that name, of the net."""
    asked = [*measures.of_net(net), *measures.of_tests(net)]
    return next(one for one in asked if type(one) is MEASURES[name])


def batches(net, count):
    """Batches with numbers of all sizes, of which the last has two real samples."""
    random = np.random.default_rng(5)
    for k in range(count):
        for name in net.inputs:
            values = net.blobs[name].data
            if values.ndim == 1:
                values[...] = random.integers(0, 6, values.shape)
            elif name in BOXES:
                values[...] = boxes(random, *values.shape[2:])
            elif name == "rois":
                values[...] = boxes(random, len(values), 7)[:, [0, 3, 4, 5, 6]] * [1, *[80] * 4]
                values[:, 3:] += random.integers(-9, 9, (len(values), 2))
            elif name == "cells":
                values[...] = random.random(values.shape)
            elif name == "objects":
                values[:, :8] = random.integers(0, 2, (4, 8))  # difficult or not, there or not
                values[:, 8:12] = random.integers(0, 3, (4, 4))
                values[:, 12:] = random.random((4, 16)) / 2 + 0.25
            else:
                values[...] = random.normal(size=values.shape) * 10.0 ** random.integers(-6, 7)
        batch = Batch.run(net, 2 if k == count - 1 else None, first=4 * k)
        yield batch._replace(blobs={name: array.copy() for name, array in batch.blobs.items()})


def boxes(random, count, width):
    """Boxes found or true, by their width, of four images; some have the same place."""
    rows = np.zeros((count, width))
    rows[:, 0], rows[:, 1] = random.integers(0, 4, count), random.integers(1, 4, count)
    rows[:, 2] = random.integers(0, 5, count) / 4  # some scores are the same
    corners = random.integers(0, 3, (count, 2)) / 4
    box = np.concatenate([corners, corners + random.integers(1, 3, (count, 2)) / 8], axis=1)
    rows[:, 3:7] = box
    rows[:, 7:] = random.integers(0, 4, (count, width - 7)) == 0  # difficult
    return rows


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("halves", [[5, 4], [1, 8], [0, 9], [9, 0]])
def test_merged_halves_are_one_pass(name, halves):
    assert name in NETS, f"give a net that asks for {name}"
    net = net_of(NETS[name])
    parts = list(batches(net, sum(halves)))
    whole, first, second = (made(name, net) for _ in range(3))
    for k, batch in enumerate(parts):
        whole.add(batch)
        (first if k < halves[0] else second).add(batch)
    first.merge(second)
    assert first.report() == whole.report()
    assert list(first.lines()) == list(whole.lines())
    assert {k: v.tolist() for k, v in first.figures().items()} == {
        k: v.tolist() for k, v in whole.figures().items()
    }
    assert set(first.figures()) <= set(first.shows())


@pytest.mark.parametrize("name", ["accuracy", "multilabel", "regression", "segmentation"])
def test_no_matter_how_samples_are_batched(name):
    net = net_of(NETS[name])
    whole, single = made(name, net), made(name, net)
    for batch in batches(net, 9):
        whole.add(batch)
        for row in range(batch.count or 4):
            blobs = {n: a[row : row + 1] for n, a in batch.blobs.items() if a.ndim}
            single.add(Batch(blobs, first=batch.first + row))
    assert single.report() == whole.report()


def test_rows_that_are_steps_count_in_whole_batches():
    """A recurrent net says steps x samples: which rows are whose is not known."""
    steps = Batch({"y": np.zeros((3, 4, 2))}, count=4, first=8, size=4)
    assert steps.rows("y").shape == (3, 4, 2) and steps.numbers("y") is None
    said = "has 3 rows for a batch of 4 samples, of which the data end behind 2; .* divides"
    with pytest.raises(NetError, match=said):
        steps._replace(count=2).rows("y")
    more = steps._replace(blobs={"y": np.zeros((8, 4, 2))}, of_steps={"y"})
    assert more.rows("y").shape == (8, 4, 2) and more.numbers("y") is None
    with pytest.raises(NetError, match=said.replace("3 rows", "8 steps")):
        more._replace(count=2).rows("y")
    several = Batch({"y": np.zeros((8, 2))}, count=3, first=4, size=4)
    assert several.numbers("y").tolist() == [4, 4, 5, 5, 6, 6] and len(several.rows("y")) == 6


RECURRENT = """
layer { name: "x" type: "Input" top: "x" top: "cont"
  input_param { shape { dim: 8 dim: 4 dim: 2 } shape { dim: 8 dim: 4 } } }
layer { name: "h" type: "RNN" bottom: "x" bottom: "cont" top: "h"
  recurrent_param { num_output: 3 } }
layer { name: "relu" type: "ReLU" bottom: "h" top: "h" }
layer { name: "y" type: "InnerProduct" bottom: "h" top: "y"
  inner_product_param { num_output: 5 axis: 2 } }
layer { name: "last" type: "Slice" bottom: "y" top: "before" top: "end"
  slice_param { axis: 0 slice_point: 7 } }
layer { name: "z" type: "Reshape" bottom: "end" top: "z" reshape_param { shape { dim: 4 dim: 5 } } }
"""


def test_what_is_made_of_steps_has_rows_that_are_steps():
    batch = Batch.run(net_of(RECURRENT), 4, 0, 4)
    assert batch.of_steps == {"h", "y"} and batch.numbers("y") is None
    assert batch.numbers("z").tolist() == [0, 1, 2, 3]


def test_a_sum_forgets_no_small_term():
    total, other = ExactSum(), ExactSum()
    total.add([1e16, 1.0, 1.0, -1e16, 3.0])
    other.add([[1.0, 1e16], [1e16, 1.0], [1.0, 1.0], [-1e16, -1e16]])
    assert total.value == 5 and other.value.tolist() == [2, 2]
    total.add([np.inf])
    assert total.value == np.inf


def test_outputs_of_other_shapes_have_no_mean():
    net = net_of(SCORED)
    first, second = made("classification", net), made("classification", net)
    first.add(Batch({"loss": np.zeros(()), "accuracy": np.zeros(3)}))
    second.add(Batch({"loss": np.zeros(()), "accuracy": np.zeros(4)}))
    with pytest.raises(NetError, match=r"shape \(4,\) in batch 1, expected \(3,\) as before"):
        first.merge(second)


# What solvers ask


def solver(more, net=SCORED):
    text = net.replace("Input", "DummyData").replace("input_param", "dummy_data_param")
    head = 'base_lr: 0.1 lr_policy: "fixed" test_iter: 2 test_interval: 1 snapshot_prefix: "s" '
    param = parse(f"{head} {more}", caffe_pb2.SolverParameter)
    param.net_param.CopyFrom(parse(text, caffe_pb2.NetParameter))
    return caffelite.get_solver(param)


def test_eval_type_names_a_measure_that_tests_show(tmp_path, monkeypatch, lines):
    monkeypatch.chdir(tmp_path)
    trained = solver('eval_type: "accuracy" monitor: "x/top_1" early_stop: 2 max_iter: 9')
    events = []
    trained.add_listener(events.append)
    trained.solve()
    tests = [event for event in events if event["event"] == "test"]
    shown = ["accuracy", "loss", "x/top_1", "x/top_5", "x/mean_per_class", "x/macro_f1"]
    shown.append("x/cross_entropy")
    assert list(tests[0]["outputs"]) == shown
    assert trained.monitor.rises and trained.monitor.so_far.best_iter == 0
    assert [event["iteration"] for event in events if event["event"] == "stopped"] == [2]
    assert any("Test net output #2: x/top_1 = 0" in line for line in lines())
    assert not any("eval_type" in line for line in lines())
    assert not solver('eval_type: "accuracy" monitor: "x/cross_entropy"').monitor.rises
    said = 'has no output "x/tap_1"; did you mean "x/top_1"'
    with pytest.raises(SolverError, match=said):
        solver('eval_type: "accuracy" monitor: "x/tap_1"')


def test_a_figure_that_cannot_be_told_is_not_the_best(tmp_path, monkeypatch):
    """There is no R^2 of targets that are all the same."""
    monkeypatch.chdir(tmp_path)
    more = 'eval_type: "regression" monitor: "x/r2" early_stop: 2 max_iter: 9'
    trained = solver(more, VALUED)
    trained.solve()
    monitor = trained.monitor
    assert np.isnan(monitor.so_far.best)
    assert monitor.see(0, {"x/r2": np.float64(0.5)}, 4) and not monitor.see(0, {}, 5)
    assert monitor.so_far.best_iter == 4 and monitor.so_far.tests_since_best == 1


def test_without_samples_there_are_no_figures():
    idle = solver('eval_type: "regression"', VALUED)
    idle.param.test_iter[:] = [0]
    assert idle.test() == {}


def test_a_new_measure_is_one_class(monkeypatch):
    """One whose state is more than sums, and of whose layers there are no means."""
    monkeypatch.setattr(SoftmaxWithLoss, "compares", "rank")
    monkeypatch.setitem(MEASURES, "rank", None)  # forgotten after the test

    @measures.register("rank")
    class Rank(Measure):
        compares, replaces = "rank", True
        shown = falling = ("median",)

        def __init__(self, first, second):
            super().__init__(first, second)
            self.ranks = []

        def add(self, batch):
            scores, labels = (batch.rows(name) for name in self.blobs)
            self.samples += len(labels)
            for row, label in zip(scores, labels.astype(int), strict=True):
                self.ranks.append(int((row > row[label]).sum()))

        def merge(self, other):
            self.samples += other.samples
            self.ranks += other.ranks

        def report(self):
            return {"median": float(np.median(self.ranks)), "ranks": sorted(self.ranks)}

    asked = solver('eval_type: "rank" monitor: "x/median"')
    assert not asked.monitor.rises
    assert asked.test() == {"accuracy": 0, "x/median": 0}


TWO_HEADS = """
layer { name: "data" type: "DummyData" top: "x" top: "y"
  dummy_data_param { shape { dim: 8 dim: 6 } shape { dim: 8 }
    data_filler { type: "gaussian" } data_filler { value: 2 } } }
layer { name: "first" type: "InnerProduct" bottom: "x" top: "first"
  inner_product_param { num_output: 5 weight_filler { type: "gaussian" } } }
layer { name: "loss1" type: "SoftmaxWithLoss" bottom: "first" bottom: "y" top: "loss1" }
layer { name: "last" type: "InnerProduct" bottom: "x" top: "last"
  inner_product_param { num_output: 5 weight_filler { type: "gaussian" } } }
layer { name: "loss2" type: "SoftmaxWithLoss" bottom: "last" bottom: "y" top: "loss2" }
"""


def test_what_a_measure_reads_outlasts_the_layers_behind_it(tmp_path, monkeypatch):
    """As `train` and `test` run nets, whose blobs use memory in turn."""
    monkeypatch.chdir(tmp_path)
    more = 'eval_type: "accuracy" max_iter: 0 display: 0 random_seed: 1'
    apart = solver(f"{more} test_initialization: true", TWO_HEADS)
    Path("solver.prototxt").write_text(str(apart.param))
    found = apart.test()
    assert found["first/cross_entropy"] != found["last/cross_entropy"]
    assert main(["train", "solver.prototxt", "-q", "--log", "log.jsonl"]) == 0
    tests = [r for r in map(json.loads, open("log.jsonl")) if r["event"] == "test"]
    assert tests[0]["outputs"] == {name: value.tolist() for name, value in found.items()}
