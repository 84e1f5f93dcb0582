"""Nets whose data is not there: what is taken for it, who says so, and what stays unknown."""

import json
from pathlib import Path

import pytest

from caffelite.cli import main
from caffelite.data.made import way_to
from caffelite.net.missing_data import sample_of_deploy

TRAIN = """
name: "digits"
layer { name: "d" type: "Data" top: "data" top: "label"
        data_param { source: "nowhere" batch_size: 7 backend: LMDB } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
        inner_product_param { num_output: 10 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
DEPLOY = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [64, 2, 5, 4] } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
        inner_product_param { num_output: 10 } }
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("train_val.prototxt").write_text(TRAIN)


def summary(capsys, *words):
    assert main(["summary", "train_val.prototxt", "--json", *words]) == 0
    told = capsys.readouterr()
    found = json.loads(told.out)
    return found, {layer["name"]: layer for layer in found["layers"]}, told.err


def test_summary_takes_the_input_of_the_deploy_net_beside_it(folder, capsys):
    Path("deploy.prototxt").write_text(DEPLOY)
    found, layers, said = summary(capsys)
    assert [top["shape"] for top in layers["d"]["top"]] == [[7, 2, 5, 4], [7]]
    assert layers["d"]["type"] == "Data" and layers["ip"]["macs"] == 7 * 40 * 10
    assert found["totals"]["learnable"] == 40 * 10 + 10 and found["batch"] == 7
    assert 'train_val.prototxt:3: layer "d": nowhere: no such directory' in said
    assert "its samples are taken to be 2×5×4, from deploy.prototxt" in said
    plan = summary(capsys, "--plan")[0]["plan"]
    assert plan["shared"] == "data"


def test_a_shape_that_is_given_goes_before_the_deploy_net(folder, capsys):
    Path("deploy.prototxt").write_text(DEPLOY)
    _, layers, said = summary(capsys, "--data-shape", "1,3,3")
    assert layers["d"]["top"][0]["shape"] == [7, 1, 3, 3]
    assert "1×3×3, from --data-shape" in said
    _, layers, _ = summary(capsys, "--data-shape", "5,1,3,3")
    assert [top["shape"] for top in layers["d"]["top"]] == [[5, 1, 3, 3], [5]]


def test_what_nobody_tells_is_unknown(folder, capsys):
    found, layers, said = summary(capsys)
    assert found["totals"] == dict.fromkeys(("learnable", "statistics", "macs", "memory"))
    assert layers["loss"]["top"] == [{"name": "loss", "shape": None}]
    assert "--data-shape C,H,W says what to take for it" in said
    assert main(["summary", "train_val.prototxt"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].split() == ["3", "layers", "unknown", "unknown", "unknown"]
    assert "0" not in [word for line in lines for word in line.split()]
    assert main(["summary", "train_val.prototxt", "--plan"]) == 1
    assert "--data-shape" in capsys.readouterr().err


def test_other_mistakes_are_said_as_ever(folder, capsys):
    Path("train_val.prototxt").write_text(TRAIN.replace("num_output: 10", "num_output: 0"))
    assert main(["summary", "train_val.prototxt", "--data-shape", "1,3,3"]) == 1
    assert 'layer "ip" (InnerProduct): num_output' in capsys.readouterr().err


@pytest.mark.parametrize("words", ["3", "3,4", "3,4,x", "1,2,3,4,5", "3,0,4", ""])
@pytest.mark.parametrize("command", [["summary"], ["draw", "x.dot"], ["view"]])
def test_shapes_that_are_none_are_refused(folder, command, words, capsys):
    name, *more = command
    assert main([name, "train_val.prototxt", *more, "--data-shape", words]) == 2
    assert "--data-shape" in capsys.readouterr().err


def test_draw_takes_them_too(folder, capsys):
    assert main(["draw", "train_val.prototxt", "net.dot", "--data-shape", "1,3,3"]) == 0
    text = Path("net.dot").read_text()
    assert "7×1×3×3" in text and "100 learnable values" in text  # 9 * 10 + 10
    assert main(["draw", "train_val.prototxt", "net.dot"]) == 0
    assert "learnable" not in Path("net.dot").read_text()
    assert "--data-shape" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("train", "deploy"),
    [
        ("train_val.prototxt", "deploy.prototxt"),
        ("lenet_train_test.prototxt", "lenet.prototxt"),
        ("lenet_train_test.prototxt", "lenet_deploy.prototxt"),
        ("net_train.prototxt", "deploy.prototxt"),
        ("net.prototxt", "net_deploy.prototxt"),
    ],
)
def test_the_deploy_net_is_called_as_in_caffe(train, deploy, tmp_path):
    (tmp_path / train).write_text(TRAIN)
    (tmp_path / deploy).write_text(DEPLOY)
    found = sample_of_deploy(tmp_path / train)
    assert (found.shape, found.source) == ((2, 5, 4), deploy)


def test_a_deploy_net_of_another_net_tells_nothing(folder, capsys):
    Path("deploy.prototxt").write_text(DEPLOY.replace('name: "ip"', 'name: "conv1"'))
    assert summary(capsys)[0]["totals"]["learnable"] is None
    Path("deploy.prototxt").write_text("layer { name: ")
    assert summary(capsys)[0]["totals"]["learnable"] is None


def test_several_inputs_are_known_by_their_names(folder, capsys):
    source = 'hdf5_data_param { source: "nowhere.txt" batch_size: 7 }'
    Path("train_val.prototxt").write_text(
        f'layer {{ name: "d" type: "HDF5Data" top: "a" top: "b" top: "y" {source} }}\n'
        'layer { name: "s" type: "Silence" bottom: "a" bottom: "b" bottom: "y" }'
    )
    shapes = "shape { dim: [1, 9] } shape { dim: [1, 4, 2] }"
    Path("deploy.prototxt").write_text(
        f'layer {{ name: "in" type: "Input" top: "b" top: "a" input_param {{ {shapes} }} }}'
        'layer { name: "s" type: "Silence" bottom: "a" bottom: "b" }'
    )
    tops = summary(capsys)[1]["d"]["top"]
    assert [top["shape"] for top in tops] == [[7, 4, 2], [7, 9], [7]]


def test_labels_of_pixels_from_a_source_of_their_own_have_one_channel(
    tmp_path, monkeypatch, capsys
):
    """They were taken for pictures, and the loss for wrong."""
    monkeypatch.chdir(tmp_path)
    data = 'type: "Data" data_param { source: "%s" batch_size: 2 backend: LMDB }'
    net = f"""layer {{ name: "d" top: "data" {data % "nowhere"} }}
    layer {{ name: "l" top: "label" {data % "neither"} }}
    layer {{ name: "c" type: "Convolution" bottom: "data" top: "c"
             convolution_param {{ num_output: 4 kernel_size: 1 }} }}
    layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "c" bottom: "label" top: "loss" }}
    layer {{ name: "a" type: "Accuracy" bottom: "c" bottom: "label" top: "a" }}"""
    Path("train_val.prototxt").write_text(net)
    _, layers, said = summary(capsys, "--data-shape", "3,6,5")
    assert layers["d"]["top"][0]["shape"] == [2, 3, 6, 5]
    assert layers["l"]["top"][0]["shape"] == [2, 1, 6, 5]
    assert "neither: no such directory" in said and "taken to be 1×6×5, from --data-shape" in said
    assert "loss" in layers and "expected" not in said


def test_the_command_that_makes_a_data_set_is_told_of_its_labels_too():
    assert (
        way_to("data/scenes_test_ink_lmdb")
        == "; `caffelite dataset digit-scenes --out data` makes it"
    )
    assert "digits-8x8 --out x" in way_to("x/digits_train_lmdb")
    assert way_to("data/moving_train.txt").startswith("; `caffelite dataset moving-digits --hdf5")
    nothing = ["x/digits_train_ink_lmdb", "train_ink_lmdb", "x/digits_train.txt", "train.txt"]
    assert [way_to(path) for path in nothing] == [""] * 4
