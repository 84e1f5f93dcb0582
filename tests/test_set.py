"""Fields set on the command line, `--set FIELD=VALUE`, and in caffelite.get_solver."""

import json
from pathlib import Path

import pytest

import caffelite
from caffelite.cli import main
from caffelite.errors import ProtoError
from caffelite.proto import caffe_pb2
from caffelite.proto.assign import assign
from caffelite.proto.text import parse

NET = """
name: "tiny"
layer { name: "data" type: "DummyData" top: "x" top: "t" include { phase: TRAIN }
        dummy_data_param { shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 }
                           data_filler { type: "gaussian" } data_filler { value: 1 } } }
layer { name: "data" type: "DummyData" top: "x" top: "t" include { phase: TEST }
        dummy_data_param { shape { dim: 5 dim: 3 } shape { dim: 5 dim: 2 }
                           data_filler { type: "gaussian" } data_filler { value: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y"
        inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "relu.1" type: "ReLU" bottom: "y" top: "y" }
layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }
"""
SOLVER = """
net: "net.prototxt" base_lr: 0.01 lr_policy: "multistep" stepvalue: 10 stepvalue: 20 gamma: 0.1
max_iter: 2 display: 1 snapshot_prefix: "tiny" random_seed: 1
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(NET)
    Path("solver.prototxt").write_text(SOLVER)
    return tmp_path


def net():
    return parse(NET, caffe_pb2.NetParameter)


def solver():
    return parse(SOLVER, caffe_pb2.SolverParameter)


@pytest.mark.parametrize(
    "words, path, found",
    [
        ("base_lr=0.5", "base_lr", 0.5),
        ("base_lr = 1e-3", "base_lr", 1e-3),
        ("lr_policy=step", "lr_policy", "step"),
        ('lr_policy="step"', "lr_policy", "step"),
        ("solver_mode=CPU", "solver_mode", 0),
        ("snapshot_prefix=a [b]", "snapshot_prefix", "a [b]"),
        ("stepvalue=7", "stepvalue", [7]),
        ("stepvalue=[7, 8]", "stepvalue", [7, 8]),
        ("stepvalue[1]=15", "stepvalue", [10, 15]),
        ("stepvalue[2]=30", "stepvalue", [10, 20, 30]),
        ("train_state.level=2", "train_state.level", 2),
        ("snapshot_after_train=false", "snapshot_after_train", False),
    ],
)
def test_a_field_of_a_solver_is_set(words, path, found):
    param = solver()
    assign(param, words, "the solver")
    for name in path.split("."):
        param = getattr(param, name)
    value = list(param) if hasattr(param, "extend") else param
    assert value == (pytest.approx(found) if isinstance(found, float) else found)


def test_fields_of_layers_are_set_by_name_or_number():
    param = net()
    for words in (
        "layer[ip].param[1].lr_mult=0",
        "layer[2].inner_product_param.num_output=7",
        'layer[ip].inner_product_param.weight_filler={type: "msra"}',
        "layer[relu.1].relu_param.negative_slope=0.5",
        "layer[data].dummy_data_param.shape[0].dim[0]=9",
    ):
        assign(param, words, "the net")
    first, second, ip, relu, _ = param.layer
    assert [spec.HasField("lr_mult") for spec in ip.param] == [False, True]
    assert ip.inner_product_param.num_output == 7 and relu.relu_param.negative_slope == 0.5
    assert ip.inner_product_param.weight_filler.type == "msra"
    assert [list(one.dummy_data_param.shape[0].dim) for one in (first, second)] == [[9, 3]] * 2


def test_names_may_have_brackets_and_dots():
    param = caffe_pb2.NetParameter()
    for name in ("conv[0]", "conv.a[1].b", "block[2][x]"):
        param.layer.add(name=name)
        assign(param, f"layer[{name}].param[0].lr_mult=3", "the net")
    assert [layer.param[0].lr_mult for layer in param.layer] == [3, 3, 3]


@pytest.mark.parametrize(
    "words, told",
    [
        ("base_lr", "expected FIELD=VALUE, such as base_lr=0.1"),
        ("=3", "expected FIELD=VALUE"),
        ("bas_lr=1", 'the net has no field "bas_lr"'),
        ("naem=x", 'the net has no field "naem"; did you mean "name"?'),
        ("layer[relu1].name=x", 'no "layer" is called "relu1"; did you mean "relu.1"?'),
        ("layer.name=x", 'say which "layer": layer[0], or by its name, as [data]'),
        ("layer[9].name=x", '"layer" has 5 entries, no number 9'),
        ("layer[ip].parm[0].lr_mult=1", '"layer" has no field "parm"; did you mean "param"?'),
        ("layer[ip].param[0].lr_mul=1", '"param" has no field "lr_mul"; did you mean "lr_mult"?'),
        ("layer[ip].param[0].lr_mult=fast", '"lr_mult" takes a number, not fast'),
        ("layer[ip].param[5000].lr_mult=1", '"param" has 0 entries, no number 5000'),
        ("layer[ip].inner_product_param.num_output=3 axis: 2", "expected one value"),
        ("layer[ip].bottom[7]=x", '"bottom" has 1 values, from 0 on: there is no [7]'),
        ("name[0]=x", 'there is one "name", and no brackets behind it'),
        ("name.x=3", '"name" is a value, and has no fields'),
        ("layer[ip]..name=3", "expected names with dots"),
        ("layer[pool].name", "expected FIELD=VALUE"),
    ],
)
def test_a_mistake_is_told_with_what_was_meant(words, told):
    with pytest.raises(ProtoError) as caught:
        assign(net(), words, "the net")
    assert str(caught.value).startswith(f'"{words}": ') and told in str(caught.value)


def test_train_sets_fields_of_the_solver_and_its_nets_and_logs_them(folder):
    words = ["--set", "base_lr=0.5", "--set", "net.layer[ip].inner_product_param.num_output=2"]
    words += ["--set", "net.layer[ip].param[1].lr_mult=0", "--set", "max_iter=3"]
    assert main(["train", "solver.prototxt", *words, "--log", "run.jsonl", "-q"]) == 0
    assert Path("tiny_iter_3.caffemodel").exists()
    records = [json.loads(line) for line in Path("run.jsonl").read_text().splitlines()]
    assert "base_lr: 0.5" in records[0]["solver"] and words[1] in records[0]["command"]
    assert records[0]["net_changes"] == [words[3][4:], words[5][4:]]
    assert records[1]["lr"] == 0.5
    net = caffelite.Net("net.prototxt", caffelite.TEST, weights="tiny_iter_3.caffemodel")
    assert not net.params["ip"][1].data.any(), "the bias is not learned"


def test_a_test_net_without_the_layer_stays_as_it_is(folder):
    text = NET.replace('"relu.1"', '"other"')
    Path("test.prototxt").write_text(text)
    more = 'test_net: "test.prototxt" test_iter: 1 test_interval: 2'
    Path("solver.prototxt").write_text(SOLVER.replace("net:", "train_net:") + more)
    changes = ["layer[relu.1].relu_param.negative_slope=0.5"]
    found = caffelite.get_solver("solver.prototxt", net_changes=changes)
    assert found.net.layer_dict["relu.1"].options.negative_slope == 0.5
    with pytest.raises(ProtoError, match='net.prototxt: "layer.relu.2..name=3": no "layer" is'):
        caffelite.get_solver("solver.prototxt", net_changes=["layer[relu.2].name=3"])


def test_summary_test_and_time_set_fields_of_the_net(folder, capsys):
    size = "layer[data].dummy_data_param.shape[0].dim[0]=8"
    other = "net.layer[data].dummy_data_param.shape[1].dim[0]=8"
    for command in (
        ["summary"],
        ["summary", "--wiring"],
        ["test", "--allow-missing", "--iterations=1"],
        ["time", "--iterations=1"],
    ):
        assert main([*command, "net.prototxt", "--set", size, "--set", other, "-q"]) == 0, command
    capsys.readouterr()
    assert main(["summary", "net.prototxt", "--set", size, "--set", other]) == 0
    assert "8×3" in capsys.readouterr().out
    assert main(["summary", "net.prototxt", "--set", "layer[lass].name=x"]) == 1
    assert 'no "layer" is called "lass"; did you mean "loss"?' in capsys.readouterr().err
