"""diff: layers added, removed, changed and moved, by their fields."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from caffelite.cli import main
from caffelite.proto import caffe_pb2
from caffelite.proto.diff import compare
from caffelite.proto.text import parse

ROOT = Path(__file__).parent.parent

NET = """name: "n"
layer { name: "data" type: "Data" top: "x" include { phase: TRAIN } data_param { batch_size: 8 } }
layer { name: "data" type: "Data" top: "x" include { phase: TEST } data_param { batch_size: 9 } }
layer { name: "a" type: "Convolution" bottom: "x" top: "a"
        convolution_param { num_output: 4 kernel_size: 3 stride: 2 weight_filler { std: 0.1 } } }
layer { name: "b" type: "ReLU" bottom: "a" top: "b" }
layer { name: "c" type: "Pooling" bottom: "b" top: "c" pooling_param { kernel_size: 2 } }
layer { name: "d" type: "Softmax" bottom: "c" top: "d" }
"""


def changes(old, new, kind=caffe_pb2.NetParameter):
    return compare(parse(old, kind), parse(new, kind))


def told(found):
    return [(change.kind, change.layer, change.fields) for change in found]


def test_no_difference():
    assert changes(NET, NET) == []
    spelled = NET.replace("kernel_size: 2", "kernel_size: 2 pool: MAX round_mode: CEIL")
    assert changes(NET, spelled.replace('top: "b"', 'top: "b" relu_param {}')) == []
    assert changes(NET, "# comment\n" + NET.replace(" }", "\n}")) == []


def test_fields_that_changed():
    new = NET.replace("num_output: 4", "num_output: 5 pad: 1 pad: 2").replace("stride: 2", "")
    found = changes(NET, new.replace("std: 0.1", "std: 0.2").replace('"n"', '"m"'))
    assert told(found) == [
        ("changed", "", {"name": ('"n"', '"m"')}),
        (
            "changed",
            "a",
            {
                "convolution_param.num_output": ("4", "5"),
                "convolution_param.stride": ("2", None),
                "convolution_param.weight_filler.std": ("0.1", "0.2"),
                "convolution_param.pad": (None, "1, 2"),
            },
        ),
    ]
    assert (found[1].type, found[1].old_line, found[1].new_line) == ("Convolution", 4, 4)


def test_presence_counts_where_no_default_is_declared():
    found = changes(NET, NET.replace('top: "d"', 'top: "d" loss_param { ignore_label: 0 }'))
    assert told(found) == [("changed", "d", {"loss_param.ignore_label": (None, "0")})]


def test_layers_of_one_name_are_told_apart_by_their_rules():
    lines = NET.splitlines()
    swapped = "\n".join([lines[0], lines[2].replace("9", "7"), lines[1], *lines[3:]])
    found = changes(NET, swapped)
    assert ("changed", "data", {"data_param.batch_size": ("9", "7")}) in told(found)
    assert {change.kind for change in found} == {"changed", "moved"}


def test_added_and_removed():
    lines = NET.splitlines()
    new = "\n".join(
        [*lines[:5], 'layer { name: "e" type: "TanH" bottom: "a" top: "b" }', *lines[6:]]
    )
    removed, added = changes(NET, new)
    assert told([removed]) == [
        ("removed", "b", {"name": ('"b"', None), "type": ('"ReLU"', None),
                          "bottom": ('"a"', None), "top": ('"b"', None)})
    ]  # fmt: skip
    assert (removed.old_line, removed.new_line) == (6, 0)
    assert (added.kind, added.layer, added.fields["type"]) == ("added", "e", (None, '"TanH"'))
    assert (added.old_line, added.new_line) == (0, 6)


def test_a_renamed_layer_is_the_same_one():
    found = changes(NET, NET.replace('"a"', '"first"'))
    assert told(found) == [
        ("changed", "first", {"name": ('"a"', '"first"'), "top": ('"a"', '"first"')}),
        ("changed", "b", {"bottom": ('"a"', '"first"')}),
    ]


def test_moved():
    lines = NET.splitlines()
    found = changes(NET, "\n".join([*lines[:3], *lines[5:7], *lines[3:5], *lines[7:]]))
    moved = [change for change in found if change.kind == "moved"]
    assert {change.kind for change in found} == {"moved"}
    assert [change.layer for change in moved] in (
        ["b", "c"],
        ["a"],
    )  # it takes one view or the other
    assert all(change.fields["place"][1].startswith("behind ") for change in moved)


def test_solvers():
    found = changes(
        'net: "a" base_lr: 0.1 solver_mode: CPU',
        'net: "a" base_lr: 0.01',
        caffe_pb2.SolverParameter,
    )
    assert told(found) == [
        ("changed", "", {"base_lr": ("0.1", "0.01"), "solver_mode": ("CPU", None)})
    ]


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("old.prototxt").write_text(NET)
    Path("new.prototxt").write_text(NET.replace("num_output: 4", "num_output: 6").replace(
        'name: "d" type: "Softmax"', 'name: "d2" type: "Sigmoid"'))  # fmt: skip
    assert main(["diff", "old.prototxt", "new.prototxt"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        '- layer "d" (Softmax), line 8',
        '    bottom: "c"',
        '    top: "d"',
        '~ layer "a" (Convolution), line 4 → 4',
        "    convolution_param.num_output: 4 → 6",
        '+ layer "d2" (Sigmoid), line 8',
        '    bottom: "c"',
        '    top: "d"',
        "layers: 1 removed, 1 changed, 1 added",
    ]
    assert main(["diff", "old.prototxt", "new.prototxt", "--exit-code"]) == 1
    assert main(["diff", "old.prototxt", "old.prototxt", "--exit-code"]) == 0
    assert capsys.readouterr().out.endswith("no difference\n")
    assert main(["diff", "old.prototxt", "new.prototxt", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found[1]["fields"] == {"convolution_param.num_output": ["4", "6"]}


def test_the_old_form_of_a_net_is_no_difference(tmp_path, capsys):
    for name, text in (
        ("old", 'layers { name: "r" type: RELU bottom: "x" top: "y" }'),
        ("new", 'layer { name: "r" type: "ReLU" bottom: "x" top: "y" }'),
    ):
        (tmp_path / name).write_text(text)
    assert main(["diff", str(tmp_path / "old"), str(tmp_path / "new"), "--exit-code"]) == 0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("models/lenet/deploy.prototxt", "solvers/lenet.prototxt", "expected two of one kind"),
        ("models/lenet/deploy.prototxt", "missing.prototxt", "no such file"),
        ("LICENSE", "LICENSE", "LICENSE:1"),
    ],
)
def test_mistakes(old, new, said, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert main(["diff", old, new]) == 1
    assert said in capsys.readouterr().err


def test_files_may_come_through_pipes(tmp_path):
    """caffelite diff <(git show HEAD:net.prototxt) net.prototxt"""
    words = 'exec "$0" -m caffelite diff <(echo "name: \'a\'") <(echo "name: \'b\'")'
    command = ["bash", "-c", words, sys.executable]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert 'name: "a" → "b"' in told.stdout
