"""No file ends in a traceback, whatever it holds: damaged ones of every kind, by a seed.

A longer attack: `python -m tests.test_attack SEEDS [KIND ...]`.
"""

import os
import sys
import tempfile
import time
import traceback
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import caffelite
from caffelite.cli import main
from caffelite.data import binaryproto, color, dataset, detections, hdf5, window
from caffelite.data.annotations import coco, per_picture, yolo
from caffelite.data.annotations.annotation import Faults, boxes_of
from caffelite.data.image_list import ImageListSource, read_list
from caffelite.data.image_pairs import ImagePairSource
from caffelite.data.label_map import read_label_map
from caffelite.data.transform import DataTransformer
from caffelite.errors import CaffeliteError
from caffelite.predict.preprocessing import Preprocessing
from caffelite.proto.caffe_pb2 import TransformationParameter
from caffelite.run_log.follower import Follower
from caffelite.solver import get_solver
from caffelite.view.weights import Weights

from . import attack


def command(*words):
    """Run a command on "file"; whatever it says, it says it in words."""
    assert main(list(words)) in (0, 1, 2), words


def commands(*lines):
    for line in lines:
        command(*line.split())


def refused(read):
    """Let `read` give what it can, or an error of ours."""
    try:
        return read()
    except CaffeliteError as problem:
        assert str(problem)


def net():
    commands("lint file", "summary file", "summary --wiring file", "diff file net.prototxt")
    commands("upgrade file upgraded")


def solver():
    commands("lint file", "diff file solver.prototxt", "upgrade file upgraded")
    refused(lambda: get_solver("file"))


def log():
    commands("parse_log file", "parse_log --shell file", "parse_log --json file")
    commands("plot file", "plot --json file --smooth 3", "plot --log-y --x seconds file")
    Follower("file").read()


def mean():
    refused(lambda: binaryproto.read("file"))
    refused(lambda: DataTransformer(TransformationParameter(mean_file="file"), train=False))


def filler():
    text = attack.NET.replace('type: "xavier"', 'type: "file" file: "file"')
    Path("filled.prototxt").write_text(text)
    refused(lambda: caffelite.Net("filled.prototxt", caffelite.TEST).forward())


def weights():
    refused(lambda: caffelite.Net("net.prototxt", caffelite.TEST).copy_from("file"))
    refused(lambda: Weights("file").describe("conv"))
    commands("convert file converted.h5", "convert file converted.caffemodel", "upgrade file new")


def state():
    refused(lambda: get_solver("solver.prototxt").restore("file"))


def images():
    Path("idx").mkdir(exist_ok=True)
    for name in ("train-images-idx3-ubyte", "t10k-images-idx3-ubyte"):
        attack.put(f"idx/{name}", Path("file").read_bytes())
    for name in ("train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"):
        attack.put(f"idx/{name}", attack.idx(10))
    command("dataset", "mnist", "--idx", "idx", "--out", f"made{time.monotonic_ns()}")


def card():
    Path("card").mkdir(exist_ok=True)
    attack.put("card/readme.md", Path("file").read_bytes())
    refused(lambda: Preprocessing.of_card("card/readme.md"))


def entries():
    refused(lambda: ImageListSource("file").sample(0))
    refused(lambda: read_list("file", strict=True))
    refused(lambda: ImagePairSource("file").sample(0))
    command("convert_imageset", "./", "file", f"made{time.monotonic_ns()}")


def reads(read):
    return partial(refused, read)


VOC = """<?xml version="1.0"?><annotation><filename>a.jpg</filename><size><width>40</width>
<height>20</height></size><object><name>cat</name><difficult>0</difficult><bndbox><xmin>4</xmin>
<ymin>5</ymin><xmax>20</xmax><ymax>15</ymax></bndbox></object></annotation>"""
COCO = """{"images": [{"id": 7, "file_name": "a.jpg", "width": 40, "height": 20}], "categories":
[{"id": 3, "name": "cat"}], "annotations": [{"image_id": 7, "category_id": 3, "bbox": [4, 5, 16.5,
10], "iscrowd": 0}]}"""
COCO_ONE = """{"image": {"width": 40, "height": 20}, "annotation": [{"category_id": 3, "bbox":
[4, 5, 16, 10], "iscrowd": 1}]}"""
YAML = "path: .\ntrain: images\nval: [a, b.txt]\nnames: {0: cat, 1: dog}\n"
LABELS = """item { name: "none" label: 0 } item { name: "cat" label: 1 display_name: "Cat" }"""


def _boxes(read):
    """Read "file", and make boxes of what is in it on a picture of 40 x 20."""

    def run():
        found = refused(lambda: read("file"))
        if found is not None:
            boxes_of(found, (20, 40), {"cat": 1, "3": 1, "0": 2}, Faults())

    return run


def yaml():
    os.makedirs("yolo", exist_ok=True)
    attack.put("yolo/data.yaml", Path("file").read_bytes())
    refused(lambda: yolo.read("yolo/data.yaml"))
    attack.put("yolo/obj.data", Path("file").read_bytes().replace(b":", b"="))
    refused(lambda: yolo.read("yolo/obj.data"))


def _kinds():
    """{kind: (a sound file of it, what reads the file "file")}; run in an empty folder."""
    attack.put("net.prototxt", attack.NET)
    attack.put("solver.prototxt", attack.SOLVER)
    sound = caffelite.Net("net.prototxt", caffelite.TEST)
    sound.save("sound.caffemodel")
    trained = get_solver("solver.prototxt")
    trained.step(1)
    _, saved = trained.snapshot()
    kinds = {
        "net": (attack.NET, net),
        "solver": (attack.SOLVER, solver),
        "glog": (attack.GLOG, log),
        "events": (attack.EVENTS, log),
        "mean": (attack.binaryproto(), mean),
        "filler": (" ".join(map(str, np.arange(108) / 7)), filler),
        "weights": (Path("sound.caffemodel").read_bytes(), weights),
        "state": (Path(saved).read_bytes(), state),
        "idx": (attack.idx(10, 3, 3), images),
        "card": (attack.CARD, card),
        "list": ("a.png 1\nb c.png 2\nd.png 3\n", entries),
        "axes": (attack.AXES, reads(lambda: color.read_axes("file"))),
        "csv": (attack.CSV, reads(lambda: detections.read_windows("file"))),
        "windows": (attack.WINDOWS, reads(lambda: window.read_windows("file", "", 0.5, 0.5))),
        "names": ("cat\ndog\n", reads(lambda: dataset.read_names("file"))),
        "voc": (VOC, _boxes(lambda path: per_picture.read(path, "xml"))),
        "coco": (COCO, reads(lambda: coco.read("file"))),
        "coco one": (COCO_ONE, _boxes(lambda path: per_picture.read(path, "json"))),
        "box text": ("3 4 5 20 15\n0 0 0 40 20\n", _boxes(lambda p: per_picture.read(p, "txt"))),
        "yolo": ("0 0.5 0.5 0.25 0.5\n3 1 1 1 1 0.9\n", _boxes(yolo.read_boxes)),
        "yaml": (YAML, yaml),
        "label map": (LABELS, reads(lambda: read_label_map("file"))),
        "hdf5 list": ("a.h5 b.h5\nc.h5\n", reads(lambda: hdf5.Hdf5Source("file", ["x"]))),
    }
    return kinds


KINDS = ["net", "solver", "glog", "events", "mean", "filler", "weights", "state", "idx", "card",
         "list", "axes", "csv", "windows", "names", "voc", "coco", "coco one", "box text", "yolo",
         "yaml", "label map", "hdf5 list"]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_refused_in_words(kind, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    content, read = _kinds()[kind]
    content = content if isinstance(content, bytes) else content.encode()
    attack.put("file", content)
    read()
    for seed in range(12):
        attack.put("file", attack.damaged(content, seed))
        read()


def _long_attack(seeds, kinds):
    """Tell which seeds bring something down, and what takes long."""
    os.chdir(tempfile.mkdtemp())
    known = _kinds()
    silent, out = open(os.devnull, "w"), sys.stdout
    sys.stdout = sys.stderr = silent
    seen = set()
    for kind in kinds or known:
        content, read = known[kind]
        content = content if isinstance(content, bytes) else content.encode()
        for seed in range(seeds):
            attack.put("file", attack.damaged(content, seed))
            begun = time.process_time()
            try:
                read()
            except BaseException as problem:
                place = traceback.extract_tb(problem.__traceback__)[-1]
                key = kind, type(problem).__name__, place.filename, place.lineno
                if key not in seen:
                    seen.add(key)
                    print(kind, seed, file=out)
                    traceback.print_exception(problem, limit=-7, file=out)
            if time.process_time() - begun > 3:
                print(kind, seed, "took", time.process_time() - begun, file=out)
            out.flush()
    print("done", seeds, kinds, file=out)


if __name__ == "__main__":
    _long_attack(int(sys.argv[1]), sys.argv[2:])
