"""Files of boxes that DetectionOutput writes, byte by byte those of SSD's Caffe, and when."""

import json
import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

import caffelite
from caffelite.errors import CaffeliteError
from caffelite.layers.detection import _pixels
from caffelite.proto import caffe_pb2

from .test_golden import GOLDEN, assert_near, part

RECORDED = GOLDEN / "detection_save"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to run in, with the files that the recorded nets name."""
    for path in RECORDED.iterdir():
        shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def net_of(name, change=lambda text: text):
    path = Path(f"{name}.prototxt")
    path.write_text(change(path.read_text()))
    return caffelite.Net(str(path), caffelite.TEST)


def show(net, recorded, batch):
    for blob, values in part(recorded, f"in/{batch}").items():
        net.blobs[blob].data[...] = values
    net.forward()


@pytest.mark.parametrize("name", ["voc", "voc_padded", "coco", "evaluate_pixels"])
def test_two_batches_make_the_recorded_files(folder, name):
    recorded, net = np.load(f"{name}.npz"), net_of(name)
    for batch in range(2):
        assert not Path("out").exists() or not os.listdir("out")
        show(net, recorded, batch)
        for blob, want in part(recorded, f"out/{batch}").items():
            assert_near(net.blobs[blob].data, want, f"{blob} of batch {batch}")
    files = part(recorded, "file")
    assert {path: Path(path).read_bytes() for path in files} == {
        path: content.tobytes() for path, content in files.items()
    }
    assert len(os.listdir("out") if files else []) == len(files)


def test_the_lines_of_ilsvrc(folder):
    net = net_of("voc", lambda text: text.replace('"VOC"', '"ILSVRC"'))
    recorded = np.load("voc.npz")
    for batch in range(2):
        show(net, recorded, batch)
    lines = Path("out", "comp4_det_test_.txt").read_text().splitlines()
    assert lines[0] == "im_a 1 0.953394 380 102 485 162"  # as in the file of class 1, cat
    classes = {"cat": 1, "dog": 2, "bus": 3}
    for name, label in classes.items():
        of_class = recorded[f"file/out/comp4_det_test_{name}.txt"].tobytes().decode().splitlines()
        got = [
            line.replace(f" {label} ", " ", 1) for line in lines if line.split()[1] == str(label)
        ]
        assert got == of_class


def test_names_in_json(folder):
    """A name that is a number stands there as one, even with zeros before it, as in SSD's Caffe."""
    Path("name_size.txt").write_text('7 375 500\nb/"c\\ 300 300\n003 500 333\nnull 240 320\n')
    net, recorded = net_of("coco"), np.load("coco.npz")
    for batch in range(2):
        show(net, recorded, batch)
    text = Path("out", "detections.json").read_text()
    assert '"image_id": 7,' in text and '"image_id": 003,' in text and '"image_id": null,' in text
    assert {item["image_id"] for item in json.loads(text.replace("003", "3"))} == {
        7,
        'b/"c\\',
        3,
        None,
    }


def test_nothing_found_is_a_file_all_the_same(folder):
    recorded = np.load("coco.npz")
    net = net_of("coco", lambda text: text.replace("_threshold: 0.3", "_threshold: 2"))
    for batch in range(2):
        show(net, recorded, batch)
    assert json.loads(Path("out", "detections.json").read_text()) == []


def test_half_a_round_is_told_and_not_written(folder, caplog):
    net = net_of("voc")
    show(net, np.load("voc.npz"), 0)
    with caplog.at_level(logging.WARNING, "caffelite"):
        net.close()
    assert os.listdir("out") == []
    assert "the net saw 2 of the 4 pictures of a round; nothing of it is written" in caplog.text


def test_a_net_that_is_but_looked_at_writes_nothing(folder):
    net = net_of("voc")
    net.only_look()
    for batch in range(2):
        show(net, np.load("voc.npz"), batch)
    assert not Path("out").exists()


def test_a_folder_that_cannot_be_made_is_told_and_the_net_goes_on(folder, caplog):
    Path("out").write_text("a file")
    net = net_of("voc")
    with caplog.at_level(logging.WARNING, "caffelite"):
        show(net, np.load("voc.npz"), 0)
        show(net, np.load("voc.npz"), 1)
    assert caplog.text.count("output_directory out cannot be written to: File exists") == 1


@pytest.mark.parametrize(
    ("file", "text", "error"),
    [
        (
            "labelmap.prototxt",
            'item { name: "a" label: 1 }',
            "has no label 2; expected one for each",
        ),
        (
            "name_size.txt",
            "im_a 375 500 im_b",
            "name_size.txt:1: width of im_a 375: expected a whole number from 1",
        ),
        ("name_size.txt", "im_a 375 0", "width of im_a: expected a whole number from 1"),
        ("name_size.txt", "im_a 375 500\n375 500", "name_size.txt:2: has 2 words, expected NAME"),
        ("name_size.txt", "", "is empty, expected lines of NAME HEIGHT WIDTH"),
        (
            "name_size.txt",
            "im_a 375 500",
            "num_test_image is 4, but name_size_file name_size.txt has",
        ),
    ],
)
def test_files_that_do_not_fit_are_refused_before_anything_is_written(folder, file, text, error):
    Path(file).write_text(text)
    with pytest.raises(CaffeliteError, match=error) as caught:
        show(net_of("voc"), np.load("voc.npz"), 0)
    assert str(caught.value).startswith('voc.prototxt:5: layer "l" (DetectionOutput): save_output')
    assert os.listdir("out") == []


@pytest.mark.parametrize("name", ["../evil", "n/a", ".."])
def test_names_of_classes_lead_nowhere_else(folder, name):
    text = Path("labelmap.prototxt").read_text()
    Path("labelmap.prototxt").write_text(text.replace('"cat"', f'"{name}"', 1))
    with pytest.raises(
        CaffeliteError, match=r'label \d has the name ".*", which cannot be that of'
    ):
        show(net_of("voc"), np.load("voc.npz"), 0)
    assert os.listdir("out") == []


def test_the_layer_names_its_file_of_sizes(folder):
    os.unlink("name_size.txt")
    with pytest.raises(CaffeliteError) as caught:
        show(net_of("evaluate_pixels"), np.load("evaluate_pixels.npz"), 0)
    assert str(caught.value).startswith(
        'evaluate_pixels.prototxt:4: layer "l" (DetectionEvaluate): name_size_file: name_size.txt: '
    )


def test_options_that_save_nothing_are_told(folder, caplog):
    with caplog.at_level(logging.WARNING, "caffelite"):
        net_of("voc", lambda text: text.replace('label_map_file: "labelmap.prototxt"', ""))
    assert (
        "save_output_param does nothing here; nothing is saved without label_map_file"
        in caplog.text
    )


def test_sizes_that_shift_are_told_once(folder, caplog):
    net, recorded = net_of("evaluate_pixels"), np.load("evaluate_pixels.npz")
    for blob, values in part(recorded, "in/0").items():
        net.blobs[blob].data[...] = values
    found = net.blobs["det"].data[0, 0]
    found[found[:, 0] == 0] = -1
    with caplog.at_level(logging.WARNING, "caffelite"):
        net.forward()
        net.forward()
    assert caplog.text.count("has boxes of 1 of 2 images, so that images after one without") == 1


def test_boxes_in_pixels_of_the_original_picture():
    recorded = np.load(GOLDEN / "detection" / "ops" / "output_boxes.npz")
    called = json.loads(str(recorded["meta"]))
    for name, text in called["params"].items():
        resize = text_format.Parse(text, caffe_pb2.ResizeParameter()) if text else None
        for (width, height), want in zip(called["sizes_wh"], recorded[f"out/{name}"], strict=True):
            got, _ = _pixels.in_pixels(recorded["in/boxes"], (height, width), resize)
            assert_near(got, want, name)
