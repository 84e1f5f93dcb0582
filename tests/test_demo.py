"""`caffelite demo`: the commands that newcomers see first."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from caffelite import cli
from caffelite.cli import main

GRAPHVIZ = shutil.which("dot") or importlib.util.find_spec("pygraphviz")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ran(here, monkeypatch):
    """The commands that ran but init; `ran.codes` has the exit codes of those that fail."""

    class Ran(list):
        codes = {}

    def pretend(words):
        if words[0] == "init":
            return main(words)
        ran.append(words)
        if words[0] == "train":
            Path("snapshots").mkdir()
            Path("snapshots/lenet_iter_1000.caffemodel").touch()
        if words[0] == "test":
            print("accuracy = 0.971")
        return ran.codes.get(words[0], 0)

    ran = Ran()
    monkeypatch.setattr(cli, "main", pretend)
    return ran


def shown(out):
    return [line[2:] for line in out.splitlines() if line.startswith("$ ")]


@pytest.mark.skipif(not importlib.util.find_spec("mlxtend"), reason="mlxtend is not installed")
@pytest.mark.skipif(not GRAPHVIZ, reason="Graphviz is not installed")
def test_it_trains_tests_and_draws_in_a_new_folder(here, capsys):
    assert main(["demo", "new", "--iterations", "4"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[:2] for line in shown(out)] == [
        ["caffelite", "init"],
        ["cd", "new"],
        *(["caffelite", name] for name in ("dataset", "draw", "train", "test")),
    ]
    told, _, after = out.partition("\nWhat to do next:\n")
    last = told.splitlines()[-1]
    assert last.startswith("Of the 1,000 digits") and 0 < float(last.split()[-1]) <= 1
    assert after.startswith("  cd new\n  caffelite view train_val.prototxt --weights snapshots/")
    assert Path.cwd() == here and [path.name for path in here.iterdir()] == ["new"]
    assert Path("new/lenet.png").read_bytes().startswith(b"\x89PNG")
    assert Path("new/snapshots/lenet_iter_4.caffemodel").exists()
    assert main(["demo", "new"]) == 1
    assert "new: is there already, and is not overwritten" in capsys.readouterr().err


def test_what_it_shows_is_what_it_runs(ran, capsys):
    assert main(["demo", "two words", "-q"]) == 0
    out = capsys.readouterr().out
    first, cd, *rest = shown(out)
    assert (first, cd) == ("caffelite init lenet 'two words'", "cd 'two words'")
    assert rest == ["caffelite " + " ".join(words[:-1]) for words in ran]
    assert all(words[-1] == "-q" for words in ran)
    assert "two words now holds deploy.prototxt, net.py, readme.md, " in out
    assert "right: 0.971\nWhat to do next:\n  cd 'two words'\n" in out
    assert "next: cd" not in out, "what init says of it, the demo does"


@pytest.mark.parametrize("name, code", [("dataset", 1), ("draw", 1), ("train", 143), ("test", 1)])
def test_a_command_that_fails_ends_it_with_its_code(ran, name, code, capsys):
    ran.codes = {name: code}
    assert main(["demo"]) == code
    assert ran[-1][0] == name
    assert capsys.readouterr().out.endswith("The demo ends here; lenet holds what was made.\n")


def test_training_that_was_stopped_goes_on_by_hand(ran, capsys):
    ran.codes = {"train": 130}  # as after Ctrl-C
    assert main(["demo"]) == 130
    assert shown(capsys.readouterr().out)[-1] == ("caffelite train solver.prototxt --resume")


def test_mistakes(here, capsys):
    Path("lenet").mkdir()
    Path("lenet/mine").touch()
    assert main(["demo"]) == 1
    assert "caffelite demo DIR takes another" in capsys.readouterr().err
    assert [path.name for path in Path("lenet").iterdir()] == ["mine"]
    assert main(["demo", "--iterations", "0"]) == 2


def test_help_needs_no_numbers():
    code = "import sys; from caffelite.cli import main; main(['demo', '--help']); " + (
        "assert not {'numpy', 'numba', 'google.protobuf'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
