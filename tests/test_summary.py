"""summary: shapes, learnable values, multiply-adds and memory, counted by hand."""

import json
import re
from pathlib import Path

import pytest

from caffelite.blob import Blob
from caffelite.cli import main

MODELS = Path(__file__).parent.parent / "models"

NET = """
name: "small"
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


@pytest.fixture
def net(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(NET)


def report(capsys, *words):
    assert main(["summary", *map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


WIRED = """
layer { name: "x" type: "Data" top: "x" top: "y" include { phase: TEST }
        data_param { source: "nowhere" batch_size: 3 } }
layer { name: "conv" type: "Convolution" bottom: "x" top: "conv" param { } param { lr_mult: 2 }
        convolution_param { num_output: 4 kernel_size: 3 stride: 2 pad: 1 group: 2 } }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip" param { }
        param { name: "b" lr_mult: 0.5 decay_mult: 0 } inner_product_param { num_output: 5 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "y" top: "loss" top: "prob"
        loss_weight: 0.3 loss_weight: 0 }
"""


def test_wiring_needs_no_data(net, capsys):
    Path("net.prototxt").write_text(WIRED)
    found = report(capsys, "net.prototxt", "--wiring")
    assert [tuple(layer.values()) for layer in found] == [
        ("x", "Data", "", "", "x, y", "batch_size 3, in TEST"),
        ("conv", "Convolution", "x1, x2", "x", "conv", "3×3, 4 outputs, stride 2, pad 1, group 2"),
        ("ip", "InnerProduct", "x1, b x0.5 Dx0", "conv", "ip", "5 outputs"),
        ("loss", "SoftmaxWithLoss", "", "ip, y", "0.3 * loss, 0 * prob", ""),
    ]
    assert main(["summary", "net.prototxt", "--wiring"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["layer", "type", "param", "bottom", "top", "options"]
    assert lines[3].split() == ["conv", "Convolution", "x1,", "x2", "x", "conv", *"3×3, 4".split(),
                                *"outputs, stride 2, pad 1, group 2".split()]  # fmt: skip


def test_counts_by_hand(net, capsys):
    found = report(capsys, "net.prototxt")
    assert (found["net"], found["phase"]) == ("small", "TEST")
    rows = [
        (x["name"], x["learnable"], x["statistics"], x["macs"], x["memory"] // 4)
        for x in found["layers"]
    ]
    conv = 2 * 4 * 3 * 2  # (8 - 3) // 2 + 1 = 3, (6 - 3) // 2 + 1 = 2
    assert rows == [
        ("data", 0, 0, 0, 2 * 3 * 8 * 6),
        ("conv", 4 * 27 + 4, 0, conv * 27, conv + 4 * 27 + 4),
        ("bn", 0, 4 + 4 + 1, 0, 9),  # in place: only its blobs
        ("relu", 0, 0, 0, 0),
        ("a", 24 * 5, 0, 2 * 24 * 5, 10 + 24 * 5),
        ("b", 5, 0, 2 * 24 * 5, 10 + 5),  # shares its weight with a
        ("rows", 0, 0, 0, 10),
    ]
    assert found["totals"] == {
        "learnable": 112 + 120 + 5,
        "statistics": 9,
        "macs": conv * 27 + 2 * 240,
        "memory": 4 * sum(row[4] for row in rows),
    }


def test_names_and_shapes_are_those_of_the_file(net, capsys):
    """Inserted splits are left out, and their readers read what the file says."""
    layers = {x["name"]: x for x in report(capsys, "net.prototxt", "-phase=train")["layers"]}
    assert list(layers) == ["data", "conv", "bn", "relu", "drop", "a", "b", "rows"]
    assert layers["a"]["bottom"] == layers["b"]["bottom"] == ["conv"]
    assert layers["relu"]["top"] == [{"name": "conv", "shape": [2, 4, 3, 2]}]
    assert layers["rows"]["top"] == [
        {"name": "b0", "shape": [1, 5]},
        {"name": "b1", "shape": [1, 5]},
    ]


def test_the_table(net, capsys):
    assert main(["summary", "-model", "net.prototxt"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "small, TEST phase"
    assert lines[2].split() == [
        *("layer", "type", "top", "field", "stride", "offset"),
        *("learnable", "multiply-adds", "memory"),
    ]
    rows = [re.split(r" {2,}", line.strip()) for line in lines[4:]]
    assert ["conv", "Convolution", "2×4×3×2", "3", "2", "0", "112", "1,296", "640 B"] in rows
    assert ["rows", "Slice", "1×5, 1×5", "7×5", "0", "0", "40 B"] in rows  # of 8×6
    assert rows[-2] == ["7 layers", "237", "1,776", "2.4 KiB"]
    assert rows[-1] == ["and 9 values of statistics that are kept but not learned"]
    assert len({len(line) for line in lines[2:-1]}) == 1  # columns are aligned


def test_nothing_is_filled(net, capsys, monkeypatch):
    monkeypatch.setattr(Blob, "data", property(lambda self: pytest.fail("data was looked at")))
    report(capsys, "net.prototxt")


def test_stages_and_levels(net, capsys):
    Path("net.prototxt").write_text(
        NET + 'layer { name: "x" type: "Silence" bottom: "a" include { stage: "s" min_level: 1 } }'
    )
    names = [
        [x["name"] for x in report(capsys, "net.prototxt", *words)["layers"]]
        for words in ([], ["-stage=s"], ["-stage=t,s", "-level=1"])
    ]
    assert [found[-1] for found in names] == ["rows", "rows", "x"]


def test_what_is_seen_of_the_input(net, capsys):
    layers = {x["name"]: x["receptive_field"] for x in report(capsys, "net.prototxt")["layers"]}
    assert layers["data"] == [{"size": 1, "stride": 1, "offset": 0}] * 2
    assert layers["conv"] == layers["relu"] == [{"size": 3, "stride": 2, "offset": 0}] * 2
    assert layers["a"] == [{"size": n, "stride": 0, "offset": 0} for n in (7, 5)]


@pytest.mark.parametrize(
    ("model", "learnable", "macs_per_image"),
    [  # LeNet's by hand; the others' from the shapes that Caffe gives their layers
        ("lenet", 431_080, 2_293_000),
        ("alexnet", 60_965_224, 724_406_816),
        ("vgg-16", 138_357_544, 15_470_264_320),
        ("googlenet", 6_998_552, 1_582_671_872),
        ("resnet-50", 25_557_096, 3_857_973_248),
    ],
)
def test_published_nets(model, learnable, macs_per_image, capsys):
    found = report(capsys, MODELS / model / "deploy.prototxt")
    assert found["totals"]["learnable"] == learnable
    images = found["layers"][0]["top"][0]["shape"][0]
    assert found["totals"]["macs"] == macs_per_image * images


def test_a_positional_and_a_flag_contradict(capsys):
    assert main(["summary", "a.prototxt", "--model", "b.prototxt"]) == 2
    assert "expected one net's prototxt" in capsys.readouterr().err


def test_the_plan_says_what_runs_together_and_how(net, capsys):
    Path("large.prototxt").write_text(
        """layer { name: "x" type: "Input" top: "x" input_param {
             shape { dim: 4 dim: 64 dim: 56 dim: 56 } } }
           layer { name: "plane" type: "Convolution" bottom: "x" top: "y" convolution_param {
             num_output: 64 kernel_size: 3 pad: 1 } }
           layer { name: "room" type: "Convolution" bottom: "y" top: "z" convolution_param {
             num_output: 3 kernel_size: 1 axis: 0 } }"""
    )
    paths = report(capsys, "large.prototxt", "--plan")["plan"]["path"]
    assert paths == {"plane": "winograd", "room": "im2col"}
    plan = report(capsys, "net.prototxt", "--plan")["plan"]
    assert plan["path"] == {"conv": "im2col"}
    assert plan["in_step_with"] == {"bn": "conv", "relu": "conv"}
    assert plan["shared"] == "data" and plan["bytes_in_turn"] <= plan["bytes_apart"]
    assert main(["summary", "net.prototxt", "--plan", "--phase=TRAIN"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert ["relu", "ReLU", "bn"] in [line.split() for line in lines]
    assert lines[-1].startswith("gradients of blobs, which use memory in turn, need ")


def test_blobs_in_turn_need_less(net, capsys):
    Path("line.prototxt").write_text(
        'layer { name: "x" type: "Input" top: "a0" input_param { shape { dim: 100 } } }'
        + "".join(
            f'layer {{ name: "t{i}" type: "TanH" bottom: "a{i}" top: "a{i + 1}" }}'
            for i in range(5)
        )
    )
    plan = report(capsys, "line.prototxt", "--plan")["plan"]
    # input and output stay apart; the four between take turns in two pieces
    assert (plan["bytes_apart"], plan["bytes_in_turn"]) == (6 * 400, 4 * 400)
