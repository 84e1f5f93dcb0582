"""Layers of users in every command: --import, --allow-python, entry points of packages."""

import importlib.metadata
import json
import logging
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import caffelite
from caffelite import filler, own_code
from caffelite.cli import commands, main, parser_of
from caffelite.errors import CaffeliteError
from caffelite.layers import base
from caffelite.proto.text import read_net
from caffelite.solver.policies import POLICIES
from caffelite.solver.rules import RULES

EXTENDING = Path(__file__).parent.parent / "docs" / "pages" / "extending.md"
DATA = """
layer { name: "data" type: "DummyData" top: "data" top: "label"
        dummy_data_param { shape { dim: 4 dim: 3 } shape { dim: 4 }
                           data_filler { type: "gaussian" } data_filler { type: "constant" } } }
"""
NET = """
name: "small"
%s
layer { name: "double" type: "Double" bottom: "data" top: "doubled" }
layer { name: "ip" type: "InnerProduct" bottom: "doubled" top: "ip"
        inner_product_param { num_output: 2 weight_filler { type: "%s" } } }
%s
"""
INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 } } }'
LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }'
SOLVER = (
    'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 3 snapshot_prefix: "small"\n'
)


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """What a test registers, imports and allows is forgotten."""
    monkeypatch.setattr(base, "_types", dict(base._types))
    monkeypatch.setattr(own_code, "_allowed", set())
    monkeypatch.setattr(own_code, "_looked_through", set())
    monkeypatch.setattr(sys, "path", list(sys.path))
    modules, registries = set(sys.modules), (filler.FILLERS, RULES, POLICIES)
    before = [dict(registry) for registry in registries]
    yield
    for registry, words in zip(registries, before, strict=True):
        registry.clear()
        registry.update(words)
    for name in {"double", "broken", "helper"} & (set(sys.modules) - modules):
        del sys.modules[name]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the layer that the page on extending ends with, and nets that have it."""
    monkeypatch.chdir(tmp_path)
    text = EXTENDING.read_text().partition("\n## Your first layer\n")[2].partition("\n## ")[0]
    plain, _, learned, _ = re.findall(r"```python\n(.*?)```", text, re.S)
    Path("double.py").write_text(plain[: plain.index("    def forward")] + learned)
    Path("net.prototxt").write_text(NET % (DATA, "gaussian", LOSS))
    Path("deploy.prototxt").write_text(NET % (INPUT, "gaussian", ""))
    Path("solver.prototxt").write_text(SOLVER)
    return tmp_path


def ran(*words):
    code = main([*words, "-q"])
    assert code == 0, words


def test_the_first_layer_works_in_every_command(folder, capsys):
    own = ["--import", "double.py"]
    ran("train", "--solver", "solver.prototxt", *own)
    weights = ["--weights", "small_iter_3.caffemodel"]
    factor = caffelite.Net("net.prototxt", caffelite.TEST, weights=weights[1]).params["double"][0]
    assert factor.data != 1 and abs(factor.data - 1) < 0.5, "it starts at 1 and is learned"
    ran("test", "--model", "net.prototxt", *weights, "--iterations", "1", *own)
    ran("time", "--model", "net.prototxt", "--iterations", "1", *own)
    ran("summary", "deploy.prototxt", *own)
    ran("lint", "net.prototxt", "solver.prototxt", *own)
    ran("draw", "net.prototxt", "net.dot", *own)
    ran("diff", "net.prototxt", "deploy.prototxt", *own)
    ran("convert", weights[1], "small.safetensors", "--model", "deploy.prototxt", *own)
    ran("extract_features", weights[1], "net.prototxt", "ip", "features", "1", "lmdb", *own)
    capsys.readouterr()
    ran("layers", *own, "Double")
    assert "y = 2 x" in capsys.readouterr().out
    ran("layers", *own)
    assert "\ndouble" in capsys.readouterr().out
    ran("layers", *own, "--json")
    assert json.loads(capsys.readouterr().out)["Double"]["folder"] == "double"


@pytest.mark.parametrize("given", ["double", "double.py", "./double.py"])
def test_a_module_is_given_by_name_or_file(folder, given):
    ran("summary", "deploy.prototxt", "--import", given)


def test_every_command_takes_the_flag():
    for name in commands():
        assert parser_of(name)[1].get_default("own") == [], name


def test_a_module_that_is_allowed_is_asked_for_a_type_that_nobody_knows(folder):
    assert main(["summary", "deploy.prototxt", "-q"]) == 1
    ran("summary", "deploy.prototxt", "--allow-python", "double")


def test_an_unknown_type_names_those_near_and_the_flag(folder, capsys):
    text = Path("deploy.prototxt").read_text().replace('"Double"', '"Doubled"')
    Path("net.prototxt").write_text(text)
    assert main(["summary", "net.prototxt", "--import", "double.py", "-q"]) == 1
    told = capsys.readouterr().err
    assert 'layer "double": unknown type "Doubled"; did you mean "Double"? For one' in told
    assert "--import MODULE" in told and "AbsVal" not in told and len(told) < 250
    assert main(["lint", "net.prototxt"]) == 1
    assert 'unknown type "Doubled"; did you mean "Double"? For one' in capsys.readouterr().out


@pytest.mark.parametrize(
    "name, text, told",
    [
        ("broken", "1 / 0", 'the module "broken": ZeroDivisionError: division by zero ('),
        ("broken.py", "1 / 0", 'the module "broken.py": ZeroDivisionError: division by zero ('),
        ("broken.py", "def f(:", 'the module "broken.py": SyntaxError: invalid syntax'),
        ("nowhere_to_be_found", "", "is its folder on PYTHONPATH?"),
        ("./nowhere.py", "", "./nowhere.py: no such file"),
        ("./net.prototxt", "", "expected the name of a module, or of a file that ends in .py"),
        ("./random.py", "", 'another module "random", which it would hide'),
    ],
)
def test_a_module_that_does_not_import_is_named(folder, name, text, told, capsys):
    Path("broken.py").write_text(text)
    Path("random.py").write_text("")
    assert main(["summary", "deploy.prototxt", "--import", name]) == 1
    assert told in capsys.readouterr().err
    assert "broken" not in sys.modules


def test_a_file_finds_the_modules_beside_it(folder, tmp_path, monkeypatch):
    Path("helper.py").write_text("")
    Path("double.py").write_text("import helper\n" + Path("double.py").read_text())
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    ran("summary", "../deploy.prototxt", "--import", "../double.py")


def test_fillers_rules_and_policies_come_along(folder):
    Path("double.py").write_text(
        Path("double.py").read_text()
        + """
from caffelite import filler
from caffelite.solver.policies import register as policy
from caffelite.solver.rules import UpdateRule, register as rule

@filler.register("ninth")
def ninth(array, param, generator):
    array[...] = 1 / 9

@policy()
def halved(param, i, current_step):
    return param.base_lr / 2, current_step

@rule("Plain")
class Plain(UpdateRule):
    def update(self, blob, history, rate, t):
        blob.diff[...] *= rate
"""
    )
    Path("net.prototxt").write_text(NET % (DATA, "ninth", LOSS))
    Path("solver.prototxt").write_text(SOLVER.replace("fixed", "halved") + 'type: "Plain"')
    ran("train", "--solver", "solver.prototxt", "--allow-python", "double")
    ran("lint", "solver.prototxt", "net.prototxt")


class Entry:
    """An entry point whose module is imported by `load`."""

    dist = None

    def __init__(self, value):
        self.value = value

    def load(self):
        own_code.import_own(self.value)


class Installed:
    """Entry points, and which groups have been asked for."""

    def __init__(self):
        self.modules, self.asked = [], []

    def entry_points(self, group):
        self.asked.append(group)
        return [Entry(module) for module in self.modules]


@pytest.fixture
def installed(monkeypatch):
    """The entry points of packages that seem to be installed, as yet none."""
    installed = Installed()
    monkeypatch.setattr(importlib.metadata, "entry_points", installed.entry_points)
    return installed


def test_an_installed_package_is_asked_once_and_only_for_what_is_unknown(folder, installed):
    installed.modules = ["double.py"]
    Path("known.prototxt").write_text(INPUT)
    ran("summary", "known.prototxt")
    assert installed.asked == []
    ran("summary", "deploy.prototxt")
    ran("lint", "deploy.prototxt")
    assert installed.asked == [own_code.GROUP] and "Double" in base.layer_types()


def test_the_catalogue_lists_what_installed_packages_offer(folder, installed, capsys):
    installed.modules = ["double.py"]
    ran("layers")
    assert "\n  Double " in capsys.readouterr().out


def test_a_broken_package_is_told_and_passed_over(folder, installed, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("caffelite"), "propagate", True)
    Path("broken.py").write_text("1 / 0")
    installed.modules = ["broken.py", "double.py"]
    caffelite.Net("deploy.prototxt", caffelite.TEST)
    assert "cannot import broken.py, which offers layers: CaffeliteError: " in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_the_group_is_read_of_what_is_installed(folder, monkeypatch):
    """A distribution on the path, as pip leaves it."""
    Path("double-1.0.dist-info").mkdir()
    Path("double-1.0.dist-info", "METADATA").write_text("Name: double\nVersion: 1.0\n")
    Path("double-1.0.dist-info", "entry_points.txt").write_text(
        "[caffelite.layers]\ndouble = double\n"
    )
    sys.path.insert(0, str(folder))
    net = caffelite.Net("deploy.prototxt", caffelite.TEST)
    net.blobs["data"].data[...] = 3
    net.forward()
    np.testing.assert_array_equal(net.blobs["doubled"].data, [[3, 3, 3]])


def test_a_net_asks_for_a_module_by_no_other_way(folder):
    with pytest.raises(CaffeliteError, match="unknown type"):
        caffelite.Net(read_net("deploy.prototxt"), caffelite.TEST)
    assert "double" not in sys.modules
