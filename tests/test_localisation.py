"""models/course/localisation: its data, its measure against the formula, and that it learns."""

from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

import caffelite
from caffelite.cli import main
from caffelite.data.made import maker
from caffelite.errors import CaffeliteError
from caffelite.models.program import program
from caffelite.net_spec import NetSpec
from caffelite.net_spec import layers as L
from caffelite.proto import caffe_pb2

FOLDER = Path(__file__).parent.parent / "models" / "course" / "localisation"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with the databases, from which the solver runs."""
    folder = tmp_path_factory.mktemp("localisation")
    try:
        maker("placed-5k").parts()
    except CaffeliteError as problem:
        pytest.skip(str(problem))
    for name in ("placed-5k", "boxes-5k"):
        assert main(["dataset", name, "--out", str(folder / "data")]) == 0
    return folder


def test_its_files_are_what_the_program_writes():
    for name, text in program(FOLDER / "net.py").files().items():
        assert (FOLDER / name).read_text() == text


def test_boxes_lie_close_around_the_digits():
    try:
        pictures, boxes = (maker(name).parts()["test"] for name in ("placed-5k", "boxes-5k"))
    except CaffeliteError as problem:
        pytest.skip(str(problem))
    assert len(pictures) == len(boxes) == 1000
    sides = []
    for number in range(len(pictures)):
        (pixels, label), (box, same) = pictures.sample(number), boxes.sample(number)
        left, top, right, bottom = box.ravel().tolist()
        ink = pixels[0, top:bottom, left:right]
        assert label == same and ink.sum() == pixels.sum() and pixels.shape == (1, 48, 48)
        assert all(edge.any() for edge in (ink[0], ink[-1], ink[:, 0], ink[:, -1]))
        sides.append(max(ink.shape))
    assert min(sides) == 16 and max(sides) == 36


def iou(a, b):
    """That of two boxes, left, top, right, bottom: of 1200 x 1200 small squares each."""
    at = (np.arange(1200) + 0.5) / 1200

    def inside(box):
        left, top, right, bottom = box
        return np.outer((at > top) & (at < bottom), (at > left) & (at < right))

    a, b = inside(a), inside(b)
    return (a & b).sum() / (a | b).sum()


def test_iou_is_intersection_over_union():
    boxes = [
        ([0.1, 0.2, 0.5, 0.6], [0.1, 0.2, 0.5, 0.6]),
        ([0.1, 0.2, 0.5, 0.6], [0.3, 0.1, 0.9, 0.5]),
        ([0.2, 0.2, 0.3, 0.4], [0.1, 0.1, 0.9, 0.5]),
        ([0.1, 0.1, 0.2, 0.9], [0.3, 0.1, 0.9, 0.5]),  # beside each other
        ([0.4, 0.7, 0.2, 0.3], [0.1, 0.1, 0.9, 0.9]),  # inside out: none at all
    ]
    n = NetSpec()
    n.box, n.true_box = L.Input(shape=[{"dim": [5, 4]}, {"dim": [5, 4]}], ntop=2)
    program(FOLDER / "net.py").net.__globals__["iou"](n, n.box, n.true_box)
    param = text_format.Parse(str(n.to_proto()), caffe_pb2.NetParameter())
    net = caffelite.Net(param, caffelite.TEST)
    found = net.forward(box=[a for a, _ in boxes], true_box=[b for _, b in boxes])
    expected = [iou(a, b) for a, b in boxes]
    assert net.blobs["iou_of_each"].data.ravel() == pytest.approx(expected, abs=2e-3)
    assert found["iou"] == pytest.approx(np.mean(expected), abs=2e-3) and found["hits"] == 0.2


@pytest.mark.long
def test_it_learns_what_and_where(data, monkeypatch):
    text = (FOLDER / "solver.prototxt").read_text()
    (data / "solver.prototxt").write_text(text.replace("models/course/localisation", str(FOLDER)))
    monkeypatch.chdir(data)
    solver = caffelite.get_solver("solver.prototxt")
    solver.step(solver.param.max_iter)
    net = solver.test_nets[0]
    net.share_with(solver.net)
    found = [{name: float(value) for name, value in net.forward().items()} for _ in range(10)]
    means = {name: np.mean([one[name] for one in found]) for name in found[0]}
    assert means["accuracy"] > 0.8 and means["iou"] > 0.68 and means["hits"] > 0.88
