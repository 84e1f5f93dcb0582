"""The measure of detectors: average precision, what is taken for what, tests of solvers."""

import json
from pathlib import Path

import numpy as np
import pytest

import caffelite
from caffelite import measures
from caffelite.cli import main
from caffelite.errors import NetError, SolverError
from caffelite.measures import Batch
from caffelite.net import Net
from caffelite.proto import caffe_pb2
from caffelite.proto.text import parse

OPS = Path(__file__).parent / "golden/detection/ops"
NET = """
layer {{ name: "found" type: "{kind}" top: "found"
  {field} {{ shape {{ dim: 1 dim: 1 dim: {found} dim: 7 }} {more} }} }}
layer {{ name: "true" type: "{kind}" top: "true"
  {field} {{ shape {{ dim: 1 dim: 1 dim: {true} dim: 8 }} {more} }} }}
layer {{ name: "eval" type: "DetectionEvaluate" bottom: "found" bottom: "true" top: "detection_eval"
  detection_evaluate_param {{ num_classes: {classes} {options} }} }}
"""


def net_text(found, true, classes=4, options="", kind="Input", more=""):
    field = {"Input": "input_param", "DummyData": "dummy_data_param"}[kind]
    return NET.format(**locals())


def ran(found, true, classes=4, options="", batches=(Batch.run,)):
    """The measure of a net that was given these rows."""
    text = net_text(len(found), len(true), classes, options)
    net = Net.from_param(parse(text, caffe_pb2.NetParameter))
    net.blobs["found"].data[...] = found
    net.blobs["true"].data[...] = true
    _, measure = measures.of_tests(net)
    for run in batches:
        measure.add(run(net))
    return measure


def found_in(image, label, score, *box):
    return [image, label, score, *box]


def true_in(image, label, *box, difficult=0):
    return [image, label, 0, *box, difficult]


def recorded_set():
    """The boxes of py-faster-rcnn's recorded evaluation, in fractions of 300 pixels."""
    with np.load(OPS / "voc_eval.npz") as file:
        found, true = file["in/det"], file["in/gt"]
    found[:, 3:] /= 300
    true = np.insert(true, 2, 0, axis=1)
    true[:, 3:7] /= 300
    return found, true


def test_averages_of_a_recorded_set():
    """Class 1 reaches a recall of 0.3, which counts here and not in double precision."""
    found, true = recorded_set()
    measure = ran(found, true, 5, "evaluate_difficult_gt: false")
    classes = measure.report()["classes"]
    averages = [one["average_precision"] for one in classes]
    eleven = [one["VOC2007"] for one in averages]
    np.testing.assert_allclose(eleven, [0.3896, 0.4686, 0.2690, 0.1111], atol=1e-4)
    twelve = [one["VOC2012"] for one in averages]
    with np.load(OPS / "voc_eval.npz") as file:
        np.testing.assert_allclose(twelve, file["out/voc12/0.5/ap"], atol=1e-4)
    assert list(measure.figures()) == ["detection_eval"] and measure.details() == {}


def test_coco_of_a_recorded_set():
    found, true = recorded_set()
    report = ran(found, true, 5).report()
    with np.load(OPS / "coco_eval.npz") as file:
        assert report["mAP COCO"] == pytest.approx(file["out/stats"][0], abs=1e-4)


TRUE = [
    true_in(0, 1, 0.1, 0.1, 0.3, 0.3),
    true_in(0, 2, 0.5, 0.5, 0.9, 0.9),
    true_in(1, 1, 0.1, 0.1, 0.3, 0.3, difficult=1),
    true_in(1, 3, 0.6, 0.1, 0.8, 0.3),
    true_in(-1, 0, 0, 0, 0, 0),
]
FOUND = [
    found_in(0, 1, 0.9, 0.1, 0.1, 0.3, 0.3),
    found_in(0, 1, 0.8, 0.1, 0.1, 0.3, 0.3),  # once more
    found_in(0, 3, 0.7, 0.5, 0.5, 0.9, 0.9),  # another class
    found_in(0, 2, 0.2, 0.5, 0.5, 0.9, 0.9),  # too low a score
    found_in(1, 1, 0.9, 0.1, 0.1, 0.3, 0.3),  # a difficult one
    found_in(2, -1, -1, -1, -1, -1, -1),  # nothing
]


def test_what_is_taken_for_what():
    def batch(net):
        return Batch.run(net, first=0, size=3)

    measure = ran(FOUND, TRUE, options="evaluate_difficult_gt: false", batches=[batch])
    report = measure.report()
    assert report["samples"] == 3 and report["boxes"] == 3 and report["background"] == 0
    assert report["confusion"] == [
        [0, 1, 0, 0],  # made up: the second box on the first digit
        [0, 1, 0, 0],
        [0, 0, 0, 1],  # a 2 taken for a 3
        [1, 0, 0, 0],  # missed
    ]
    assert report["worst"] == [
        {"number": 0, "missed": 0, "extra": 1, "confused": 1},
        {"number": 1, "missed": 1, "extra": 0, "confused": 0},
    ]
    one = report["classes"][0]
    assert (one["boxes"], one["found"], one["right"]) == (1, 2, 1)
    assert (one["precision"], one["recall"]) == (0.5, 1)
    assert report["classes"][1]["recall"] == 0
    lines = "\n".join(measure.lines(["none", "one", "two", "three"]))
    assert "found against true: 3 pictures\ntrue boxes: 3, of 3 classes\n" in lines
    assert "mAP COCO = " in lines and "AP VOC2007" in lines


def test_difficult_boxes_count_unless_told_otherwise():
    report = ran(FOUND, TRUE).report()
    assert report["boxes"] == 4 and report["confusion"][1][1] == 2


def test_a_least_score():
    measure = ran(FOUND, TRUE)
    measure.take_threshold(0.1)
    confusion = measure.report()["confusion"]
    assert confusion[2] == [0, 0, 1, 0]  # found as what it is, by the box of 0.2
    assert confusion[0] == [0, 1, 0, 1]


def test_boxes_that_can_never_be_found_are_told_once(caplog):
    flat, strange = true_in(0, 1, 0.4, 0.4, 0.1, 0.1), true_in(0, 7, 0.1, 0.1, 0.2, 0.2)
    report = ran([found_in(0, 9, 0.5, 0, 0, 1, 1)], [flat, strange], batches=[Batch.run] * 2)
    assert report.report()["mAP VOC2012"] == 0
    told = [record.getMessage() for record in caplog.records]
    assert [line.split("holds the box ")[1].split(", ", 6)[-1] for line in told] == [
        "1), whose label is none of num_classes, 4: no AP counts it; others of the kind are not "
        "told",
        "0.1, 0), which has no area, so that none overlaps it; others of the kind are not told",
        "0.2, 0), whose label is none of num_classes, 4: no AP counts it; others of the kind are "
        "not told",
    ]


def test_samples_that_fill_up_the_last_batch_count_once():
    def batch(net):
        return Batch.run(net, count=1, first=4, size=3)

    report = ran(FOUND, TRUE, batches=[batch]).report()
    assert report["samples"] == 1 and report["boxes"] == 2
    assert [one["number"] for one in report["worst"]] == [4]


def test_batches_without_numbers_have_images_of_their_own():
    """Or two boxes found in image 0 of two batches would be on one true box."""
    twice = ran(FOUND, TRUE, batches=[Batch.run, Batch.run]).report()
    once = ran(FOUND, TRUE).report()
    assert twice["mAP VOC2012"] == once["mAP VOC2012"] and twice["mAP COCO"] == once["mAP COCO"]
    assert twice["confusion"] == (2 * np.array(once["confusion"])).tolist()
    assert twice["worst"] == []


def test_curves_are_a_picture():
    from caffelite.pictures.unit_curves import svg

    measure = ran(FOUND, TRUE)
    curves = measure.curves(measure.report(), ["none", "a < b"])["precision over recall"]
    assert list(curves[0]) == ["a < b", "2", "3"]
    text = svg(*curves)
    assert text.count("<polyline") == 3 and "a &lt; b" in text


def test_rows_of_another_width():
    text = net_text(3, 3)
    net = Net.from_param(parse(text, caffe_pb2.NetParameter))
    _, measure = measures.of_tests(net)
    blobs = {"found": np.zeros((1, 1, 3, 6)), "true": np.zeros((1, 1, 3, 8))}
    with pytest.raises(NetError, match=r'"found" has the shape \(1, 1, 3, 6\), expected rows of 7'):
        measure.add(Batch(blobs))


# Tests of solvers, and the command


def solver(more="", filler="data_filler { value: 1 }"):
    param = parse(
        'base_lr: 0.1 lr_policy: "fixed" test_iter: 2 test_interval: 1 max_iter: 1 '
        f'snapshot_after_train: false snapshot_prefix: "s" {more}',
        caffe_pb2.SolverParameter,
    )
    train = 'layer { name: "x" type: "DummyData" top: "x" include { phase: TRAIN } '
    train += "dummy_data_param { shape { dim: 1 } } } "
    text = net_text(2, 2, kind="DummyData", more=filler)
    test = text.replace('top: "', 'include { phase: TEST } top: "')
    param.net_param.CopyFrom(parse(train + test, caffe_pb2.NetParameter))
    return caffelite.get_solver(param)


def test_eval_type_detection_shows_what_forks_show(caplog):
    caplog.set_level("INFO", "caffelite")
    trained = solver('eval_type: "detection" ap_version: "11point" show_per_class_result: true')
    outputs = trained.test()
    lines = [record.getMessage() for record in caplog.records]
    assert outputs["detection_eval"] == 0
    assert lines[-4:] == [
        "class1: 0",
        "class2: 0",
        "class3: 0",
        "    Test net output #0: detection_eval = 0",
    ]
    assert not any("does nothing" in line for line in lines)


def test_a_monitor_goes_by_it():
    trained = solver('eval_type: "detection" monitor: "detection_eval" early_stop: 2')
    assert trained.monitor.rises
    with pytest.raises(SolverError, match="loss of test net 0, which has none; .* detection_eval"):
        solver('eval_type: "detection" early_stop: 2')


def test_options_that_mean_nothing(caplog):
    with pytest.raises(SolverError, match='unknown "11points"; did you mean "11point"'):
        solver('eval_type: "detection" ap_version: "11points"')
    solver('ap_version: "11point"')
    assert "ap_version does nothing without eval_type" in caplog.text


def test_a_net_without_boxes_is_no_test_of_a_detector():
    param = parse(
        'base_lr: 0.1 lr_policy: "fixed" test_iter: 2 test_interval: 1 eval_type: "detection"',
        caffe_pb2.SolverParameter,
    )
    text = 'layer { name: "x" type: "DummyData" top: "x" dummy_data_param { shape { dim: 1 } } }'
    param.net_param.CopyFrom(parse(text, caffe_pb2.NetParameter))
    with pytest.raises(SolverError, match='eval_type: "detection" asks for a layer that'):
        caffelite.get_solver(param)


def test_cells_of_the_first_yolo_are_evaluated_too():
    """One cell, whose box is right, of one of two classes: 1 and, without a true box, 0."""
    text = """
    layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 7 } } }
    layer { name: "y" type: "Input" top: "y" input_param { shape { dim: 1 dim: 7 } } }
    layer { name: "eval" type: "EvalDetection" bottom: "x" bottom: "y" top: "eval"
      eval_detection_param { side: 1 num_class: 2 num_object: 1 } }"""
    net = Net.from_param(parse(text, caffe_pb2.NetParameter))
    net.blobs["x"].data[...] = [0.1, 0.9, 0.8, 0.5, 0.5, 0.4**0.5, 0.4**0.5]
    net.blobs["y"].data[...] = [0, 1, 1, 0.5, 0.5, 0.4, 0.4]
    asked = 'eval_type: "detection" show_per_class_result: true'
    _, measure = measures.of_tests(net, parse(asked, caffe_pb2.SolverParameter))
    measure.add(Batch.run(net))
    assert measure.figures() == {"eval": 0.5}
    assert measure.details() == {"class0": 0, "class1": 1}
    report = measure.report()
    assert report["boxes"] == 1 and report["classes"][1]["recall"] == 1
    assert "mAP VOC2007 = 0.5" in "\n".join(measure.lines())


def test_the_command_tells_the_mean_average_precision(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    filler = "data_filler { value: 1 }"
    Path("net.prototxt").write_text(net_text(2, 2, kind="DummyData", more=filler))
    command = ["test", "net.prototxt", "--allow-missing", "--iterations", "3"]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["outputs"] == {"detection_eval": 0}
    words = ["--report", "--curves", "curves.svg", "--html", "page.html", "--threshold", "0.3"]
    assert main([*command, *words]) == 0
    assert "mAP VOC2012 = 0" in capsys.readouterr().out
    assert "<svg" in Path("page.html").read_text() and Path("curves.svg").exists()
    assert main([*command, "--curves", "curves.png"]) == 2
