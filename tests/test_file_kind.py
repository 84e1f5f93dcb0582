"""Files that are mistaken for each other: each reader says what the file is that it was given."""

import gzip
import io
import json
import logging
import pickle
import re
import struct
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

import caffelite
from caffelite import file_kind
from caffelite.cli import main
from caffelite.data.arrays import ArraySource
from caffelite.data.binaryproto import read as read_mean
from caffelite.data.datum import write_database
from caffelite.errors import CaffeliteError
from caffelite.glog import NOTICE
from caffelite.io import load_image
from caffelite.proto import caffe_pb2, wire
from caffelite.run_log.reader import read_log

NET = """
layer { name: "x" type: "DummyData" top: "x" top: "t" dummy_data_param {
  shape { dim: 4 dim: 3 } shape { dim: 4 dim: 1 } data_filler { value: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip"
  inner_product_param { num_output: 1 } }
layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "t" top: "loss" }
"""
SOLVER = 'net: "n.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 1 snapshot_prefix: "s"'


# Files


def packed(kind, names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") if kind == "zip" else tarfile.open(fileobj=file, mode="w") as f:
        for name in names:
            f.writestr(name, b"x" * 30) if kind == "zip" else f.addfile(tarfile.TarInfo(name))
    return file.getvalue()


def picture(format, mode="RGB"):
    file = io.BytesIO()
    Image.new(mode, (8, 6)).save(file, format)
    return file.getvalue()


def array_file(save):
    file = io.BytesIO()
    save(file, np.zeros(3))
    return file.getvalue()


def message(*fields):
    """The bytes of a message: (number, bytes or int)."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += wire.varint(number << 3) + wire.varint(value)
        else:
            out += wire.header(number, len(value)) + value
    return out


def hdf5(fill):
    h5py = pytest.importorskip("h5py")
    with h5py.File("image", "w", driver="core", backing_store=False) as file:
        fill(file)
        file.flush()
        return file.id.get_file_image()


def layer(kind=caffe_pb2.LayerParameter):
    return kind(name="ip", blobs=[dict(shape={"dim": [2, 3]}, data=range(6))])


def weights():
    return caffe_pb2.NetParameter(name="n", layer=[layer()]).SerializeToString()


def old_weights():
    return caffe_pb2.NetParameter(layers=[layer(caffe_pb2.V1LayerParameter)]).SerializeToString()


def state():
    history = [dict(shape={"dim": [3]}, data=range(3))]
    return caffe_pb2.SolverState(
        iter=5, learned_net="s_iter_5.caffemodel", history=history
    ).SerializeToString()


def keras(file):
    file.attrs["keras_version"] = b"2.4.0"
    file.create_group("model_weights")


def state_h5(file):
    file["iter"], file["learned_net"] = 5, "x"
    file.create_group("history")


NODE = message((1, b"input"), (2, b"Placeholder"), (5, message((1, b"dtype"))))
TORCH = bytes.fromhex("80028a0a6cfc9c46f9206aa85019")
GLOG = b"I0101 10:00:00.000000 1 solver.cpp:228] Iteration 5, loss = 1\n"

FILES = {  # the words that say what it is: a function that makes it
    "a .caffemodel": weights,
    "a .caffemodel, the": old_weights,
    "a .caffemodel, the weights of a net, which was cut off": lambda: weights()[:-7],
    "a .solverstate": state,
    "a .solverstate.h5": lambda: hdf5(state_h5),
    "a BlobProto": lambda: caffe_pb2.BlobProto(
        num=1, channels=1, height=2, width=3, data=range(6)
    ).SerializeToString(),
    "a BlobProtoVector": lambda: caffelite.io.arraylist_to_blobprotovector_str([np.zeros(3)]),
    "a Datum": lambda: caffe_pb2.Datum(channels=1, height=1, width=2, data=b"\0\1", label=3)
    .SerializeToString(),
    "the text of a net": lambda: f"# mine\n{NET}".encode(),
    "the text of a solver": SOLVER.encode,
    "a Git LFS pointer": lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:12\n",
    "a web page (HTML)": lambda: b"\n<!DOCTYPE html><html><body>404</body></html>",
    "packed (zip)": lambda: packed("zip", ["deploy.prototxt"]),
    "packed (gzip)": lambda: gzip.compress(weights()),
    "a tar": lambda: packed("tar", ["deploy.prototxt"]),
    "an ONNX model": lambda: message((1, 8), (2, b"pytorch"), (7, message((2, b"g"))), (8, b"")),
    "a PyTorch file (a zip)": lambda: packed("zip", ["archive/data.pkl"]),
    "an old PyTorch file": lambda: TORCH + bytes(50),
    "a Python pickle": lambda: pickle.dumps({"w": [0.5] * 9}),
    "a Torch 7 file": lambda: struct.pack("<iii", 4, 1, 3) + b"V 1" + bytes(40),
    "a Keras model (a zip)": lambda: packed("zip", ["config.json", "model.weights.h5"]),
    "a Keras model (HDF5)": lambda: hdf5(keras),
    "an HDF5 file": lambda: hdf5(lambda file: file.create_dataset("x", data=np.zeros((2, 3)))),
    "a TensorFlow graph": lambda: message((1, NODE), (1, NODE), (4, message((1, 27)))),
    "a TensorFlow model (saved": lambda: message((1, 1), (2, message((1, b"\1"), (2, NODE)))),
    "a TensorFlow Lite model": lambda: b"\x1c\0\0\0TFL3" + bytes(40),
    "an OpenVINO model": lambda: b'<?xml version="1.0"?>\n<net name="n" version="10">\n</net>',
    "an annotation of a picture": lambda: b"<annotation><folder>VOC2007</folder></annotation>",
    "a NumPy array": lambda: array_file(np.save),
    "NumPy arrays": lambda: array_file(np.savez),
    "a safetensors file": lambda: struct.pack("<Q", 2) + b'{"a":{}}',
    "a JPEG picture": lambda: picture("JPEG"),
    "a PNG picture": lambda: picture("PNG"),
    "JSON": lambda: json.dumps({"a": 1}, indent=1).encode(),
    "a Jupyter notebook": lambda: b'{\n "cells": [],\n "nbformat": 4\n}',
    "the log of a training": lambda: GLOG,
    "the log of a training (JSON)": lambda: b'{"event": "start", "iteration": 0}\n',
    "a Python script": lambda: b"# mine\nimport caffe\nnet = 1\n",
    "the text of a Darknet net": lambda: b"[net]\nbatch=64\n\n[convolutional]\n",
    "weights of Darknet": lambda: struct.pack("<3iq2f", 0, 2, 0, 64000, 0.5, -1),
    "text in UTF-16": lambda: NET.encode("utf-16"),
    "bytes that are all 0": lambda: bytes(5000),
    "an SQLite database": lambda: b"SQLite format 3\0" + bytes(100),
    "a folder": None,
}  # fmt: skip
EMPTY = "empty"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with one file of each kind, and what readers need beside it."""
    path = tmp_path_factory.mktemp("kinds")
    for number, make in enumerate(FILES.values()):
        if make is None:
            (path / f"{number}").mkdir()
            (path / f"{number}" / "x").write_text("x")
        else:
            (path / f"{number}").write_bytes(make())
    (path / EMPTY).write_bytes(b"")
    (path / "n.prototxt").write_text(NET)
    (path / "s.prototxt").write_text(SOLVER)
    write_database(path / "db", ArraySource(np.zeros((2, 1, 2, 3), np.uint8), np.arange(2)))
    return path


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def name_of(words):
    return str(list(FILES).index(words))


@pytest.mark.parametrize("words", FILES)
def test_a_file_is_known_by_its_content(here, words):
    assert words.partition(" (JSON")[0] in file_kind.of(name_of(words)).what


def test_what_nobody_knows_is_none(here):
    for number, content in enumerate((b"hello\n", b"\x01\x02\x03\xff\xff", b"cat.jpg\ndog.jpg\n")):
        (here / f"unknown{number}").write_bytes(content)
        kind = file_kind.of(f"unknown{number}")
        assert kind is None or kind.name == "binary"
    assert file_kind.of("nowhere") is None and file_kind.of("/dev/null") is None
    assert file_kind.of(EMPTY).name == "empty"


@pytest.mark.parametrize(
    "content, shown",
    [(b"404: Not Found", "404: Not Found"), (b"\r\n n01440764 tench\r\nn01443537 goldfish\r\n",
     "n01440764 tench"), (b"x" * 99, "x" * 40 + "...")],
)  # fmt: skip
def test_text_instead_of_weights_is_shown(here, content, shown):
    """Such as the answer of a server that lacks the file."""
    (here / "text.caffemodel").write_bytes(content)
    for call in ("Net with weights", "restore", "mean", "LMDB"):
        with pytest.raises(CaffeliteError, match="this is text, which begins") as caught:
            CALLS[call][0]("text.caffemodel")
        assert f'"{shown}"' in str(caught.value)


@pytest.mark.parametrize(
    "first",
    ["<unk>", "<pad>\n<s>", "P1", "BMW", "import duty", "from", "[0]", "{x}", "net: a tool", "GGUF",
     "name: cat", "I0101", "\u5224\u60a0", "layer cake", "P5 3", "0 1 2", "[UNK]\n[CLS]", "icns"],
)  # fmt: skip
def test_names_are_not_taken_for_something_else(tmp_path, first):
    """Lists of words and of pictures go through, whatever their first words look like."""
    for encoding in ("utf-8", "gbk", "utf-8-sig"):
        content = f"{first}\nthe\ncat.jpg 0\n".encode(encoding)
        assert file_kind.text_mistake(content, "x", "names") == ""


# Readers


def layer_reads(text):
    """A net of one layer, whose options name the file FILE."""

    def read(path):
        with open("one.prototxt", "w") as file:
            file.write(text.replace("FILE", str(path)))
        caffelite.Net("one.prototxt", caffelite.TRAIN)

    return read


def in_a_list(text, kind=layer_reads):
    """A net whose file is a list that names the file FILE."""

    def read(path):
        with open("list.txt", "w") as file:
            file.write(f"{path} 0\n" if "Image" in text else f"{path}\n")
        kind(text.replace("LIST", "list.txt"))("")

    return read


def solver():
    return caffelite.get_solver("s.prototxt")


DATA = 'layer { name: "d" type: "%s" top: "x" %s }'
LMDB = 'data_param { source: "FILE" batch_size: 1 backend: LMDB }'
IMAGE = 'top: "t" image_data_param { source: "%s" }'
HDF5 = 'hdf5_data_param { source: "%s" batch_size: 1 }'
WINDOWS = 'top: "t" window_data_param { source: "FILE" batch_size: 1 }' + (
    " transform_param { crop_size: 4 }"
)
FILLER = 'top: "t" dummy_data_param { shape { dim: 2 } data_filler { type: "file" file: "FILE" } }'
MEAN = (
    'data_param { source: "db" batch_size: 1 backend: LMDB } transform_param { mean_file: "FILE"}'
)
CALLS = {  # what it is called with: (the call, kinds that it takes or tells of in other words)
    "Net": (lambda path: caffelite.Net(path, caffelite.TEST), "the text of"),
    "Net with weights": (
        lambda path: caffelite.Net("n.prototxt", caffelite.TEST, weights=path),
        "a .caffemodel",
    ),
    "load_hdf5": (
        lambda path: caffelite.Net("n.prototxt", caffelite.TEST).load_hdf5(path),
        "an HDF5",
    ),
    "get_solver": (caffelite.get_solver, "the text of"),
    "restore": (lambda path: solver().restore(path), "a .solverstate", "an HDF5"),
    "mean": (read_mean, "a BlobProto"),
    "load_image": (load_image, "a JPEG", "a PNG", "a folder"),
    "read_log": (read_log, "the log of"),
    "LMDB": (layer_reads(DATA % ("Data", LMDB)),
             "a folder"),
    "ImageData": (layer_reads(DATA % ("ImageData", IMAGE % "FILE")),),
    "picture in a list": (in_a_list(DATA % ("ImageData", IMAGE % "LIST")),
                          "a JPEG", "a PNG", "a folder"),
    "HDF5Data": (layer_reads(DATA % ("HDF5Data", HDF5 % "FILE")),),
    "HDF5 in a list": (
        in_a_list(DATA % ("HDF5Data", HDF5 % "LIST")),
        "an HDF5", "a Keras model (HDF5)", "a .solverstate.h5"),
    "WindowData": (layer_reads(DATA % ("WindowData", WINDOWS)),),
    "filler": (layer_reads(DATA % ("DummyData", FILLER)), "a folder"),
    "mean_file": (layer_reads(DATA % ("Data", MEAN)), "a BlobProto"),
}  # fmt: skip

COMMANDS = {
    "convert FILE out.caffemodel": ("a .caffemodel", "a safetensors"),
    "upgrade FILE out": ("a .caffemodel", "the text of", "a folder"),
    "diff n.prototxt FILE": ("the text of",),
    "lint FILE": ("the text of",),
    "summary FILE": ("the text of",),
    "draw FILE out.dot": ("the text of",),
    "time --model FILE": ("the text of",),
    "train --solver FILE": ("the text of",),
    "train --solver s.prototxt --weights FILE": ("a .caffemodel",),
    "train --solver s.prototxt --snapshot FILE": ("a .solverstate", "an HDF5"),
    "test --model n.prototxt --weights FILE": ("a .caffemodel",),
    "extract_features FILE n.prototxt ip out 1 lmdb": ("a .caffemodel",),
    "plot FILE --out out.svg": ("the log of",),
    "parse_log FILE .": ("the log of",),
    "dataset check FILE": ("a folder", "a tar"),
    "compute_image_mean FILE": ("a folder",),
    "view n.prototxt --weights FILE": ("a .caffemodel", "a safetensors"),
    "view FILE": ("the text of",),
    "visualize filters out.png --weights FILE": ("a .caffemodel", "a safetensors"),
    "convert_imageset ./ FILE out_lmdb": (),
    "run FILE": ("a Python script", "a Jupyter notebook", "JSON", "text in UTF-16"),
}


def others(takes):
    """Words of the files that are not of these kinds."""
    return [words for words in FILES if not words.startswith(tuple(takes))]


@pytest.mark.parametrize("name", CALLS)
def test_calls_say_what_a_file_is(here, name):
    call, *takes = CALLS[name]
    for words in others(takes):
        with pytest.raises(CaffeliteError) as caught:
            call(name_of(words))
        assert words.partition(" (JSON")[0] in str(caught.value).splitlines()[0], name


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_say_what_a_file_is(here, line, capsys):
    for words in others(COMMANDS[line]):
        line_of = [word.replace("FILE", name_of(words)) for word in line.split()]
        assert main(line_of) in (1, 2)
        found = capsys.readouterr()
        assert words.partition(" (JSON")[0] in found.err + found.out, (line, words)


@pytest.mark.parametrize("name", CALLS)
def test_calls_say_that_a_file_is_empty_or_not_there(here, name):
    for path, words in ((EMPTY, "empty|lists no|has 0 numbers|window"), ("none", "[Nn]o such")):
        with pytest.raises(CaffeliteError) as caught:
            CALLS[name][0](path)
        assert re.search(words, str(caught.value)), (name, path, str(caught.value))


# Before anything is built


@pytest.mark.parametrize(
    "line",
    [
        "train --solver s.prototxt --weights none",
        "train --solver s.prototxt --weights good.caffemodel,none",
        "train --solver s.prototxt --snapshot none",
        "test --model n.prototxt --weights none",
        "test --model n.prototxt --weights none --report",
        "test --model n.prototxt --weights good.caffemodel,none",
        "extract_features none n.prototxt ip out 1 lmdb",
        "classify x.png --model deploy.prototxt --weights none --mean nowhere",
        "predict x.png --model deploy.prototxt --weights none --mean nowhere",
        "detect w.csv out.csv --model deploy.prototxt --weights none --mean nowhere",
        "visualize features out.png --weights none --model deploy.prototxt --picture x.png",
        "view n.prototxt --weights none",
    ],
)
def test_commands_check_weights_before_they_build_a_net(here, line, capsys, monkeypatch):
    def build(*_):
        raise AssertionError("a net was built first")

    (here / "good.caffemodel").write_bytes(weights())
    (here / "deploy.prototxt").write_text(
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [1, 3, 8, 8] } } }'
    )
    (here / "w.csv").write_text("filename,xmin,ymin,xmax,ymax\nx.png,0,0,4,4\n")
    monkeypatch.setattr(caffelite.Net, "_build", build)
    assert main(line.split()) == 1
    said = capsys.readouterr().err
    assert "none: cannot read the weights: No such file" in said or (
        "none: cannot read the solver state: No such file" in said
    )


def test_calls_check_weights_before_they_build_a_net(here, monkeypatch):
    monkeypatch.setattr(caffelite.Net, "_build", None)
    (here / "deploy.prototxt").write_text(NET)
    (here / "w.prototxt").write_text(f'{SOLVER} weights: "n.prototxt"')
    calls = [
        lambda: caffelite.Net("n.prototxt", caffelite.TEST, weights="none"),
        lambda: caffelite.Net("n.prototxt", caffelite.TEST, weights="n.prototxt"),
        lambda: caffelite.get_solver("w.prototxt"),
        lambda: caffelite.Classifier("n.prototxt", "none"),
        lambda: caffelite.Detector("n.prototxt", "none"),
    ]
    for call in calls:
        with pytest.raises(CaffeliteError, match="No such file|expected weights .* but this is th"):
            call()


def test_training_tells_what_of_its_weights_was_copied(here, capsys, monkeypatch):
    net = caffelite.Net("n.prototxt", caffelite.TRAIN)
    net.save("all.caffemodel")
    text = NET.replace('name: "ip"', 'name: "other"')
    (here / "other.prototxt").write_text(text)
    (here / "o.prototxt").write_text(SOLVER.replace("n.prototxt", "other.prototxt"))
    told = []
    write = logging.getLogger("caffelite").log
    monkeypatch.setattr("caffelite.solver.nets.log.log", lambda *a: (told.append(a), write(*a)))
    line = "train --solver o.prototxt --weights all.caffemodel --iterations 1 --log run.jsonl"
    assert main(line.split()) == 0
    said = capsys.readouterr().err
    assert re.search(r"\] +ip +1x3, 1 +skipped: the net has no layer of this name$", said, re.M)
    assert re.search(r"\] +other +1x3, 1 +left as it was: the file has no layer of th", said, re.M)
    assert {level for level, *_ in told} == {NOTICE}, "which terminals show, too"
    with open("run.jsonl") as file:
        start = json.loads(file.readline())
    assert [(row["layer"], row["shapes"]) for row in start["weights"]] == [
        ("ip", [[1, 3], [1]]),
        ("other", [[1, 3], [1]]),
    ]


def test_a_file_that_is_cut_off_while_it_is_held_ends_no_process(here):
    """As cp does it; what train writes takes the place of the old file, which stays whole."""
    code = """
from caffelite.net import convert, weights
from caffelite.solver import state_file
from caffelite.view.weights import Weights
import caffelite
net = caffelite.Net("big.prototxt", caffelite.TEST)
shown, loading = Weights("big.caffemodel"), weights.Loading([net], ["big.caffemodel"])
converted, state = convert.read("big.caffemodel"), state_file.read("big.solverstate")
for name in ("big.caffemodel", "big.solverstate"):
    open(name, "w").close()
assert converted["a"][0].sum() == state[1][0].sum() == 0
for call in (loading.copy, lambda: shown.describe("a")):
    try:
        call()
    except caffelite.CaffeliteError as problem:
        assert "was cut off while it was read" in str(problem)
"""
    (here / "big.prototxt").write_text(
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [1, 100] } } }'
        'layer { name: "a" type: "InnerProduct" bottom: "x" top: "y"'
        " inner_product_param { num_output: 1000 bias_term: false } }"
    )
    blob = caffe_pb2.BlobProto(shape={"dim": [1000, 100]}, data=np.zeros(100_000))
    saved = caffe_pb2.NetParameter(layer=[dict(name="a", blobs=[blob])])
    (here / "big.caffemodel").write_bytes(saved.SerializeToString())
    of_solver = caffe_pb2.SolverState(iter=1, history=[blob])
    (here / "big.solverstate").write_bytes(of_solver.SerializeToString())
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
