"""caffelite upgrade: old files into new ones, and Caffe's exit codes."""

import json
from pathlib import Path

import numpy as np
import pytest

import caffelite
from caffelite.cli import main
from caffelite.proto import text
from caffelite.proto.caffe_pb2 import NetParameter, SolverParameter

V0 = """
name: "old"  # a comment
layers { layer { name: "ip" type: "innerproduct" num_output: 3 biasterm: false %s }
  bottom: "data" top: "ip" }
input: "data" input_dim: 1 input_dim: 2 input_dim: 1 input_dim: 1
"""
TODAY = """
name: "new"  # a comment
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 3 bias_term: false } }
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def upgrade(content, *more):
    data = content if isinstance(content, bytes) else content.encode()
    Path("in").write_bytes(data)
    return main(["upgrade", "in", "out", *more])


def test_an_old_net_becomes_one_of_today(folder, capsys):
    assert upgrade(V0 % "") == 0
    net = text.read("out", NetParameter)
    assert [layer.type for layer in net.layer] == ["Input", "InnerProduct"]
    assert net.layer[1].inner_product_param.num_output == 3 and not net.layers and not net.input
    assert "source_line" not in Path("out").read_text()
    said = capsys.readouterr()
    assert said.out == "out: upgraded\n" and said.err == ""
    assert caffelite.Net("out", caffelite.TEST).blobs["ip"].shape == (1, 3)


def test_a_net_of_today_is_copied_with_its_comments(folder, capsys):
    assert upgrade(TODAY) == 0
    assert Path("out").read_text() == TODAY
    assert "a copy, nothing in it was old" in capsys.readouterr().out


def test_an_option_that_fits_no_layer_is_reported_and_left_out(folder, capsys):
    assert upgrade(V0 % "kernelsize: 4") == 1
    assert "has no kernelsize" in capsys.readouterr().err
    assert text.read("out", NetParameter).layer[1].name == "ip"


def test_what_was_done_as_json(folder, capsys):
    for content, upgraded, problems, code in (
        (TODAY, False, 0, 0),
        (V0 % "", True, 0, 0),
        (V0 % "kernelsize: 3", True, 1, 1),
    ):
        assert upgrade(content, "--json") == code
        told = json.loads(capsys.readouterr().out)
        assert (told["file"], told["upgraded"], len(told["problems"])) == (
            "out",
            upgraded,
            problems,
        )


def test_weights_are_upgraded_in_binary(folder):
    net = text.parse(V0 % "", NetParameter)
    values = np.arange(6, dtype=np.float32)
    blob = net.layers[0].layer.blobs.add(num=1, channels=1, height=3, width=2, data=values)
    assert upgrade(net.SerializeToString()) == 0
    new = NetParameter.FromString(Path("out").read_bytes())
    assert new.layer[1].type == "InnerProduct" and new.layer[1].blobs[0] == blob
    Path("net.prototxt").write_text(TODAY)
    loaded = caffelite.Net("net.prototxt", caffelite.TEST, weights="out")
    np.testing.assert_array_equal(loaded.params["ip"][0].data, values.reshape(3, 2))
    upgraded = Path("out").read_bytes()
    assert upgrade(upgraded) == 0
    assert Path("out").read_bytes() == upgraded, "a copy, since nothing in it is old now"


def test_solvers_are_upgraded_with_the_nets_inside_them(folder):
    assert upgrade('solver_type: ADAM base_lr: 1 net_param { name: "n" input: "x" }') == 0
    assert text.read("out", SolverParameter) == SolverParameter(
        type="Adam", base_lr=1, net_param={"name": "n"}
    )
    assert upgrade('type: "SGD" base_lr: 1 net: "x.prototxt"') == 0
    assert not text.read("out", SolverParameter).HasField("snapshot_prefix")
    assert Path("out").read_text() == 'type: "SGD" base_lr: 1 net: "x.prototxt"'


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        ("layer { name: ", 2, "in:1:"),
        ("layer { nam: 'x' }", 2, "nam"),
        ("base_lr: 1 solver_tipe: SGD", 2, "solver_tipe"),
        (b"\0\1\2 something", 2, "neither text nor a .caffemodel"),
        (
            b"\x08\x01\x10\x01\x18\x01\x20\x01*\x04\0\0\0\0",
            2,
            "or a .caffemodel, but this is a BlobProto",
        ),
        (b"\x89HDF\r\n\x1a\n", 2, "HDF5"),
        ("layer { name: 'x' } layers { name: 'y' }", 1, "not both"),
        ("layers { layer { name: 'x' type: 'nonsense' } }", 1, "nonsense"),
        ("solver_type: ADAM type: 'SGD'", 1, "leave out one"),
    ],
)
def test_exit_codes_are_those_of_caffes_tools(folder, content, code, message, capsys):
    assert upgrade(content) == code
    assert message in capsys.readouterr().err
    assert not Path("out").exists()


def test_files_that_are_missing(folder, capsys):
    for path, problem in (("none", "No such file"), (".", "this is an empty folder")):
        assert main(["upgrade", path, "out"]) == 2
        assert f"{path}: cannot be read: {problem}" in capsys.readouterr().err
    for words in ([], ["in"], ["in", "out", "more"]):
        assert main(["upgrade", *words]) == 1
        assert "usage: caffelite upgrade IN OUT" in capsys.readouterr().err


def test_a_file_can_be_upgraded_in_place(folder):
    Path("net").write_text(V0 % "")
    assert main(["upgrade", "net", "net"]) == 0
    assert len(text.read("net", NetParameter).layer) == 2


def test_a_checksum_of_the_old_layers_is_left_out(folder):
    old = NetParameter(checksum=5, layers=[{"name": "ip", "type": 14, "blobs": [{"data": [1, 2]}]}])
    assert upgrade(old.SerializeToString()) == 0
    new = NetParameter.FromString(Path("out").read_bytes())
    assert new.layer[0].blobs[0].data == [1, 2] and not new.HasField("checksum")
