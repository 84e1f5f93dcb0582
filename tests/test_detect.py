"""caffelite detect: the scores of windows of pictures."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffelite
from caffelite.cli import main
from caffelite.data.image_list import read_picture

NET = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 4 dim: 3 dim: 6 dim: 5 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "score"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
"""
WINDOWS = """ymax, xmin, ymin, xmax, filename, note
19, 3, 2, 20, a.png, x
9.5, 0, 0, 9, "b, c.png", x
17, 12, 8, 26, a.png, x
"""
BOXES = {"a.png": [(2, 3, 19, 20), (8, 12, 17, 26)], "b, c.png": [(0, 0, 9.5, 9)]}
PREPARED = ["--mean_value", "10,20,30", "--scale", "0.5"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for name in BOXES:
        Image.fromarray(random.integers(0, 256, (20, 30, 3), np.uint8)).save(name)
    Path("net.prototxt").write_text(NET)
    caffelite.Net("net.prototxt", caffelite.TEST).save("net.caffemodel")
    Path("windows.csv").write_text(WINDOWS)


def detect(*words, windows="windows.csv", out="out.csv"):
    return main(
        ["detect", windows, out, "--model=net.prototxt", "--weights=net.caffemodel", *words]
    )


def expected(context_pad=16, **settings):
    settings = {"mean": np.array([10, 20, 30]), "input_scale": 0.5, **settings}
    return caffelite.Detector(
        "net.prototxt", "net.caffemodel", **settings, raw_scale=255, channel_swap=(2, 1, 0),
        context_pad=context_pad,
    ).detect_windows(BOXES.items())  # fmt: skip


def test_scores_are_those_of_a_detector_picture_by_picture(folder, capsys):
    assert detect(*PREPARED, "--context_pad=1") == 0
    assert capsys.readouterr().out == "out.csv: 3 windows in 2 pictures\n"
    head, *rows = csv.reader(Path("out.csv").open())
    assert head == ["filename", "ymin", "xmin", "ymax", "xmax", "class0", "class1"]
    for row, want in zip(rows, expected(1), strict=True):
        assert row[0] == want["filename"] and tuple(map(float, row[1:5])) == want["window"]
        np.testing.assert_allclose(np.array(row[5:], float), want["prediction"], 1e-4, 1e-4)


def test_what_pictures_go_through_is_found_beside_the_net(folder, capsys):
    Path("readme.md").write_text("---\ntransform_param: { mean_value: [7], scale: 2 }\n---\n")
    assert detect("--context_pad=0", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report == {"file": "out.csv", "windows": 3, "pictures": 2}
    scores = [row[5:] for row in csv.reader(Path("out.csv").open())][1:]
    want = [w["prediction"] for w in expected(0, mean=np.full(3, 7), input_scale=2)]
    np.testing.assert_allclose(np.array(scores, float), want, 1e-4, 1e-3)


def test_many_windows_of_a_picture_go_in_groups(folder, monkeypatch):
    Path("windows.csv").write_text("filename,xmin,ymin,xmax,ymax\n" + "a.png,1,2,9,9\n" * 130)
    assert detect("--context_pad=1") == 0
    rows = list(csv.reader(Path("out.csv").open()))[1:]
    assert len(rows) == 130 and all(row == rows[0] for row in rows)


def test_the_table_is_that_of_caffes_script(folder):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("tables")
    assert detect(*PREPARED, "--context_pad=1", out="out.h5") == 0
    table = pandas.read_hdf("out.h5", "df")
    assert table.index.name == "filename"
    assert list(table.columns) == ["prediction", "ymin", "xmin", "ymax", "xmax"]
    for (name, row), want in zip(table.iterrows(), expected(1), strict=True):
        assert name == want["filename"] and tuple(row.iloc[1:]) == want["window"]
        np.testing.assert_array_equal(row["prediction"], want["prediction"])


def test_windows_may_be_proposed(folder, capsys, monkeypatch):
    Path("pictures.txt").write_text("a.png\nb, c.png\n")
    assert detect(windows="pictures.txt") == 1
    assert "selective_search_ijcv_with_python is not installed" in capsys.readouterr().err

    class Proposals:
        get_windows = staticmethod(lambda names: [BOXES[name] for name in names])

    monkeypatch.setitem(sys.modules, "selective_search_ijcv_with_python", Proposals)
    assert detect("--context_pad=1", windows="pictures.txt") == 0
    assert len(Path("out.csv").read_text().splitlines()) == 4


def test_a_gray_net_is_shown_gray_pictures(folder, capsys):
    """The very values of its data layer: gray as OpenCV makes it, a mean, a scale."""
    gray = NET.replace("dim: 4 dim: 3", "dim: 4 dim: 1")
    Path("net.prototxt").write_text(gray)
    net = caffelite.Net("net.prototxt", caffelite.TEST)
    net.save("net.caffemodel")
    Path("windows.csv").write_text("filename,xmin,ymin,xmax,ymax\na.png,4,3,9,9\n")
    words = ["--mean_value=100", "--scale=0.5", "--context_pad=0"]
    assert detect(*words) == 0, capsys.readouterr().err
    (row,) = list(csv.reader(Path("out.csv").open()))[1:]
    pixels = read_picture("a.png", color=False)[:, 3:9, 4:9].astype(float)
    net.blobs["data"].data[...] = (pixels - 100) * 0.5
    net.forward()
    np.testing.assert_allclose(np.array(row[5:], float), net.blobs["score"].data[0], 1e-3, 1e-3)
    assert detect("--mean_value=1,2,3", out="no.csv") == 1
    assert "mean_value: 3 values, expected 1\n" in capsys.readouterr().err
    Path("a.png").write_bytes(b"")
    assert detect(*words, out="none.csv") == 1
    assert "a.png: no picture" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "windows.csv:1: lacks the columns filename, xmax, xmin, ymax, ymin"),
        ("filename,xmin,ymin,xmax,ymax\n", "names no windows"),
        ("filename,xmin,ymin,xmax,ymax\na.png,1,2,3\n", "windows.csv:2: has 4 columns, expected 5"),
        (
            "filename,xmin,ymin,xmax,ymax\na.png,1,2,3,x\n",
            "windows.csv:2: ymax: expected a number below",
        ),
        (
            "filename,xmin,ymin,xmax,ymax\na.png,1,2,3,nan\n",
            "windows.csv:2: ymax: expected a number below",
        ),
        ("filename,xmin,ymin,xmax,ymax\nnone.png,1,2,3,4\n", "none.png: no such file"),
        ("filename,xmin,ymin,xmax,ymax\na.png,50,50,60,60\n", "a.png: the window"),
        ("filename,xmin,ymin,xmax,ymax\na.png,1,2,1,2\n", "a.png: the window"),
        ("filename,xmin,ymin,xmax,ymax\na.png,-3,0,5,6\n", "a.png: the window"),
        (b"\xff\xfe\x00", "windows.csv: expected CSV, but this is text in UTF-16"),
    ],
)
def test_broken_windows_are_named_and_leave_nothing(folder, content, message, capsys):
    Path("windows.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert detect("--context_pad=0") == 1
    assert message in capsys.readouterr().err
    assert not Path("out.csv").exists()


@pytest.mark.parametrize(
    ("words", "options", "code", "message"),
    [
        ([], {"out": "out.png"}, 2, "expected an ending of .csv or .h5"),
        (["--context_pad=-1"], {}, 2, "must be at least 0"),
        (["--context_pad=3"], {}, 1, "leaves nothing of a crop of 6 x 5"),
        (["--context_pad=1"], {"out": "windows.csv"}, 1, "exists already"),
        ([], {"windows": "none.csv"}, 1, "none.csv"),
        (["--mean_value", "1,2"], {}, 1, "mean_value: 2 values, expected 1, or 3"),
        (["--model", "train.prototxt"], {}, 1, "no input"),
    ],
)
def test_mistakes_are_named(folder, capsys, words, options, code, message):
    Path("train.prototxt").write_text(
        'layer { name: "d" type: "DummyData" top: "d" dummy_data_param { shape { dim: 2 } } }'
    )
    assert detect(*words, **options) == code
    assert message in capsys.readouterr().err
