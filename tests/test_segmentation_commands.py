"""caffelite class_weighting, stride_ceiling and compute_bn_statistics."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from caffelite.cli import main
from caffelite.data.datum import from_pixels
from caffelite.data.lmdb import LmdbWriter
from caffelite.net import Net
from caffelite.proto import caffe_pb2
from caffelite.proto.text import parse


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def pictures(*maps):
    """The same labels in all forms: a database, a folder of palette pictures, a list of pairs."""
    Path("labels").mkdir()
    lines = []
    with LmdbWriter("db") as database:
        for k, labels in enumerate(maps):
            labels = np.uint8(labels)
            database.put(b"%08d" % k, from_pixels(labels[None], 0).SerializeToString())
            picture = Image.fromarray(labels).convert("P")
            picture.putdata(labels.ravel())
            picture.putpalette(np.random.default_rng(0).integers(0, 256, 768).tolist())
            picture.save(f"labels/{k}.png")
            Image.new("RGB", labels.shape[::-1]).save(f"{k}.png")
            lines.append(f"{k}.png labels/{k}.png\n")
    Path("list.txt").write_text("".join(lines))


def told(capsys, *words, code=0):
    assert main([*words]) == code
    out, err = capsys.readouterr()
    return out if code == 0 else err


def test_weights_of_classes_are_the_median_frequency_by_theirs(capsys):
    pictures([[0, 0, 0, 1], [0, 0, 255, 255]], [[0, 3, 3, 3]])
    # f[0] = 6 of 10, f[1] = 1 of 6, f[3] = 3 of 4; the median is 0.6
    want = [1, 0.6 * 6, 1, 0.6 / 0.75]
    for source in ("db", "labels", "list.txt"):
        found = json.loads(told(capsys, "class_weighting", source, "--json"))
        assert found["class_weighting"] == pytest.approx(want)
        assert found["pixels"] == [6, 1, 0, 3]
    text = told(capsys, "class_weighting", "db", "--classes=5")
    param = parse(f'layer {{ name: "l" type: "SoftmaxWithLoss" {text} }}', caffe_pb2.NetParameter)
    loss = param.layer[0].loss_param
    assert list(loss.class_weighting) == pytest.approx([*want, 1], rel=1e-5)
    assert loss.weight_by_label_freqs and loss.ignore_label == 255
    err = told(capsys, "class_weighting", "db", "--classes=2", code=1)
    assert "has the label 3, but --classes says 2" in err
    assert "--classes must be at least 1" in told(
        capsys, "class_weighting", "db", "--classes=0", code=2
    )


@pytest.mark.parametrize("command", ["class_weighting", "stride_ceiling"])
def test_labels_of_which_none_counts_are_told(command, capsys):
    pictures([[255, 255]], [[255], [255]])
    err = told(capsys, command, "labels", code=1)
    assert err == "labels: no pixel has a label but 255, which is void\n"


def test_bad_label_pictures_are_named(capsys):
    Path("bad").mkdir()
    Image.new("RGB", (3, 2)).save("bad/a.png")
    err = told(capsys, "class_weighting", "bad", code=1)
    assert err.startswith('"bad/a.png": ') and "is a picture in RGB, expected one with a" in err
    Image.fromarray(np.full((2, 2), 300, np.uint16)).save("bad/a.png")
    err = told(capsys, "class_weighting", "bad", code=1)
    assert err.startswith('"bad/a.png": ') and "16 bits and the label 300" in err
    with LmdbWriter("three") as database:
        datum = from_pixels(np.zeros((3, 2, 2), np.uint8), 0)
        database.put(b"0", datum.SerializeToString())
    assert "has 3 channels, expected 1" in told(capsys, "class_weighting", "three", code=1)
    assert "no such" in told(capsys, "class_weighting", "none", code=1).lower()


def test_the_ceiling_of_a_stride(capsys):
    random = np.random.default_rng(0)
    fine = [random.integers(0, 3, (8, 12)) for _ in range(2)]
    coarse = np.kron(random.integers(0, 3, (2, 3)), np.ones((4, 4), int))
    coarse[0, 0] = 255
    pictures(*fine, coarse)
    found = json.loads(told(capsys, "stride_ceiling", "db", "--strides=1,2,4", "--json"))
    one, two, four = found["ceilings"]
    assert found["pictures"] == 3 and four["stride"] == 4
    assert one["by_cross_entropy"] == one["by_overlap"] == 1
    assert 0.99 > two["by_overlap"] > four["by_overlap"] > 0.4
    assert two["by_overlap"] >= two["by_cross_entropy"]
    Path("labels/0.png").unlink()
    Path("labels/1.png").unlink()
    text = told(capsys, "stride_ceiling", "labels", "--strides=4", "--count=9")
    assert text.splitlines()[0].startswith("mean IU of the best scores for 1 pictures")
    assert told(capsys, "stride_ceiling", "db", "--strides=0", code=2)


NET = """
layer { name: "data" type: "HDF5Data" top: "x" include { phase: TRAIN }
  hdf5_data_param { source: "list.txt" batch_size: 2 } }
layer { name: "drop" type: "Dropout" bottom: "x" top: "d" }
layer { name: "n" type: "TYPE" bottom: "d" top: "y" OPTIONS }
"""
KINDS = {
    "BatchNorm": ("BatchNorm", "", ""),
    "kept": ("BN", "bn_param { slope_filler { value: 2 } bias_filler { value: 3 } }", ""),
    "SegNet's": (
        "BN",
        "bn_param { scale_filler { value: 2 } shift_filler { value: 3 } }",
        "bn_param { bn_mode: INFERENCE }",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_statistics_of_a_whole_set(kind, capsys):
    import h5py

    x = np.random.default_rng(0).normal(3, 2, (6, 2, 3, 4)).astype(np.float32)
    with h5py.File("x.h5", "w") as file:
        file["x"] = x
    Path("list.txt").write_text("x.h5\n")
    layer, options, in_use = KINDS[kind]
    text = NET.replace("TYPE", layer).replace("OPTIONS", options)
    Path("net.prototxt").write_text(text)
    Net.from_param(parse("state { phase: TRAIN }" + text, caffe_pb2.NetParameter)).save(
        "w.caffemodel"
    )
    words = ["compute_bn_statistics", "net.prototxt", "w.caffemodel"]
    out = told(capsys, *words, "out")
    assert out == "out/test_weights.caffemodel: statistics of 1 layers, over 3 batches\n"
    used = text[text.index('layer { name: "drop') :].replace(
        options or "OPTIONS", in_use or options
    )
    shape = "shape { dim: 6 dim: 2 dim: 3 dim: 4 }"
    used = f'layer {{ name: "x" type: "Input" top: "x" input_param {{ {shape} }} }}' + used
    net = Net.from_param(parse(used, caffe_pb2.NetParameter))
    net.copy_from("out/test_weights.caffemodel")
    y = net.forward(x=x)["y"]
    batches = x.reshape(3, 2, 2, 12).astype(float).swapaxes(1, 2).reshape(3, 2, 24)
    mean, variance = batches.mean(axis=(0, 2)), batches.var(axis=2, ddof=1).mean(axis=0)
    want = (x - mean[:, None, None]) / np.sqrt(variance + 1e-5)[:, None, None]
    want = want if kind == "BatchNorm" else 2 * want + 3
    assert y == pytest.approx(want, abs=1e-4)
    assert "is WEIGHTS" in told(capsys, *words, "w.caffemodel", code=2)


def test_a_net_that_normalizes_nothing_has_none(capsys):
    text = 'layer { name: "x" type: "DummyData" top: "x" dummy_data_param { shape { dim: 2 } } }'
    Path("net.prototxt").write_text(text)
    Net.from_param(parse(text, caffe_pb2.NetParameter)).save("w.caffemodel")
    err = told(
        capsys, "compute_bn_statistics", "net.prototxt", "w.caffemodel", "o.caffemodel", code=1
    )
    assert "no BatchNorm or BN layer" in err and not Path("o.caffemodel").exists()
