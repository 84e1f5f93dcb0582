"""How well a net tells the class of each pixel: reports, and the tests of a solver."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import h5py
import numpy as np
import pytest

import caffelite
from caffelite.cli import main
from caffelite.errors import SolverError
from caffelite.measures.segmentation import FIGURES, Segmentation, measures
from caffelite.proto import caffe_pb2
from caffelite.proto.text import parse

NET = """
layer { name: "data" type: "HDF5Data" top: "x" top: "y"
  hdf5_data_param { source: "list.txt" batch_size: 2 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "x" bottom: "y" top: "loss"
  loss_param { ignore_label: 255 } }
"""
COUNT, CLASSES = 5, 6


@pytest.fixture
def maps(tmp_path, monkeypatch):
    """Scores and labels of 5 maps of 3 x 4; class 4 is never a label, class 5 is neither."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    x = random.normal(size=(COUNT, CLASSES, 3, 4)).astype(np.float32)
    x[:, 5] -= 100
    y = random.integers(0, 4, (COUNT, 1, 3, 4))
    y[random.random(y.shape) < 0.2] = 255
    with h5py.File("maps.h5", "w") as file:
        file["x"], file["y"] = x, y.astype(np.float32)
    Path("list.txt").write_text("maps.h5\n")
    Path("net.prototxt").write_text(NET)
    Path("none.caffemodel").write_bytes(caffe_pb2.NetParameter(layer=[{}]).SerializeToString())
    return x, y[:, 0]


def run(*words):
    assert main(["test", "net.prototxt", "--weights=none.caffemodel", "--report", *words]) == 0


def score(x, y):
    """What FCN's score.py makes of scores and labels, class by class."""
    n = np.zeros((CLASSES, CLASSES), int)
    for scores, labels in zip(x, y, strict=True):
        for at in np.ndindex(labels.shape):
            if labels[at] != 255:
                n[labels[at], scores[(slice(None), *at)].argmax()] += 1
    iu, accuracies, weighted = {}, [], 0
    for k in range(CLASSES):
        labelled, answered, right = n[k].sum(), n[:, k].sum(), n[k, k]
        if labelled:
            accuracies.append(right / labelled)
        if labelled + answered:
            iu[k] = right / (labelled + answered - right)
            weighted += labelled / n.sum() * iu[k]
    means = np.trace(n) / n.sum(), np.mean(accuracies), np.mean(list(iu.values())), weighted
    return n, iu, dict(zip(FIGURES, means, strict=True))


def test_the_measures_are_those_of_score_py_over_the_whole_set(maps, capsys):
    n, iu, means = score(*maps)
    run("--json")
    (found,) = json.loads(capsys.readouterr().out)
    assert {name: found[name] for name in FIGURES} == pytest.approx(means)
    assert found["iu"] == [pytest.approx(iu[k]) if k in iu else None for k in range(CLASSES)]
    assert found["confusion"] == n.tolist() and found["counted"] == n.sum()
    assert (found["samples"], found["top_1"]) == (COUNT, found["pixel_accuracy"])
    assert found["mean_accuracy"] == pytest.approx(found["mean_per_class"])


def test_text_tells_each_class_and_what_it_is_taken_for(maps, capsys):
    n, iu, means = score(*maps)
    Path("names").write_text("sky\nroad\n")
    run("--labels=names", "--confusion=c.svg")
    out = capsys.readouterr().out.splitlines()
    assert out[:2] == ["x against y: 5 samples", f"pixels that count: {n.sum()}"]
    assert f"mean_iu = {means['mean_iu']:.6g}" in out
    rows = [line.split() for line in out]
    (sky,) = [row for row in rows if row[:1] == ["sky"] and len(row) == 5]
    assert (sky[1], sky[4]) == (str(n[0].sum()), f"{iu[0]:.4f}")
    (cells,) = [row for row in rows if row[:1] == ["sky"] and len(row) == 1 + CLASSES]
    assert cells[1:] == [f"{100 * cell / n[0].sum():.1f}" for cell in n[0]]
    text = Path("c.svg").read_text()
    ET.fromstring(text)
    assert ">sky<" in text and text.count("fill-opacity") == np.count_nonzero(n)


def test_of_no_pixel_there_is_nothing_to_tell():
    assert measures([0, 0], [0, 0], [0, 0]) == dict.fromkeys(FIGURES) | {"iu": [None, None]}


def solver(more, net=NET):
    head = 'base_lr: 0 lr_policy: "fixed" test_iter: 3 test_interval: 1 snapshot_prefix: "s" '
    param = parse(f"{head} {more}", caffe_pb2.SolverParameter)
    param.net_param.CopyFrom(parse(net, caffe_pb2.NetParameter))
    return caffelite.get_solver(param)


def test_a_solvers_tests_show_them_and_its_monitor_goes_by_them(maps, caplog):
    _, iu, means = score(*(np.concatenate([each, each[:1]]) for each in maps))  # 3 batches of 2
    caplog.set_level("INFO", "caffelite")
    more = (
        'eval_type: "segmentation" show_per_class_result: true monitor: "x/mean_iu" early_stop: 2'
    )
    trained = solver(more)
    assert trained.monitor.rises
    shown = trained.test()
    assert {name: shown[f"x/{name}"] for name in FIGURES} == pytest.approx(means)
    assert [shown[f"class{k}"] for k in iu] == pytest.approx(list(iu.values()))
    assert any("x/mean_iu = " in line for line in caplog.messages)
    assert "eval_type" not in caplog.text


def test_a_net_with_a_label_a_sample_is_not_of_this_kind(maps):
    label = 'layer { name: "d" type: "DummyData" top: "x" top: "y" dummy_data_param { '
    label += "shape { dim: 2 dim: 3 } shape { dim: 2 } } }"
    net = label + NET[NET.index('layer { name: "loss"') :]
    said = 'a layer that compares "classes" at more places than one of a sample'
    with pytest.raises(SolverError, match=said):
        solver('eval_type: "segmentation"', net)


def test_pictures_may_be_of_one_pixel(maps):
    """As the first one that a net with pictures of any size is built for."""
    one = 'layer { name: "d" type: "DummyData" top: "x" top: "y" dummy_data_param { '
    one += "shape { dim: 2 dim: 3 dim: 1 dim: 1 } shape { dim: 2 dim: 1 dim: 1 dim: 1 } } }"
    net = one + NET[NET.index('layer { name: "loss"') :]
    assert "x/mean_iu" in solver('eval_type: "segmentation"', net).test()


def test_many_classes_and_wide_names_still_make_a_table():
    made = Segmentation("x", "y")
    made.classes = 300
    made.pairs.update({(k, k): 1 for k in range(300)})
    made.pairs[299, 0] = 5
    titles = [one.title for one in made.sections(made.report())]
    assert titles == ["the 200 classes that do worst", "the pairs that are confused most"]
