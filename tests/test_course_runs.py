"""tools/course.py: experiments are trained, drawn and told."""

import dataclasses
import json
import os
import shutil
import sys

import pytest

from caffelite.errors import CaffeliteError
from caffelite.solver import Solver
from tools import course
from tools.claims import _experiment, experiments, overflow
from tools.claims._experiment import AsGood, Beats, Experiment, Reaches, Row

EXPERIMENTS = experiments()

demo = pytest.importorskip("sklearn", reason="needs the extra [demo]")
pytest.importorskip("mlxtend", reason="needs the extra [demo]")
pytest.importorskip("matplotlib", reason="needs the extra [plot]")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder for runs, and for the databases that they share."""
    return tmp_path_factory.mktemp("runs")


FAST = "batch-norm", "ensemble"
LONG = "ages", "stochastic-depth", "transfer-amount", "vgg-start", "windows-vgg"  # like others


def by_time():
    """The experiments; all but two are slow tests."""
    for name in EXPERIMENTS:
        slow = pytest.mark.long if name in LONG else pytest.mark.slow
        yield pytest.param(name, marks=[] if name in FAST else slow)


@pytest.mark.parametrize("name", [*by_time()])
def test_a_miniature_of_each(name, runs, monkeypatch):
    monkeypatch.chdir(runs)
    one = EXPERIMENTS[name].miniature()
    one.make(name, seed=1)
    found = one.measure(one.folders(name))
    assert {pair for expected in one.expected for pair in expected.pairs} <= set(found.figures)
    drawn = one.draw(found)
    assert drawn.startswith(b"<?xml")
    assert one.draw(found) == drawn
    assert len(drawn) < 60_000
    rows = {pair: Row(*[sum(values) / len(values)] * 3) for pair, values in found.figures.items()}
    told = course.page({name: one}, {(name, *pair): row for pair, row in rows.items()})
    assert f"## {name}\n" in told
    assert EXPERIMENTS[name].seeds >= 3
    assert one.deck


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Run the command in this very process, with two tiny experiments; returns what it prints."""
    few = EXPERIMENTS["ensemble"].miniature(seeds=2)
    first = few.runs["net"]
    of = {"first": first, "after it": dataclasses.replace(first, after="first")}
    known = {"few": few, "two": Experiment([], of, [Beats("after it", "first")], seeds=2)}
    monkeypatch.setattr(course, "experiments", lambda: known)

    def here(chosen, args):
        with monkeypatch.context() as patch:
            patch.chdir(args.runs)
            for name, one in chosen.items():
                for seed in (1, 2):
                    one.make(name, seed)
                yield name, one.measure(one.folders(name))

    monkeypatch.setattr(course, "in_processes", here)

    def run(*names):
        folders = ["--out", str(tmp_path / "out"), "--runs", str(tmp_path / "runs")]
        monkeypatch.setattr(sys, "argv", ["course.py", *folders, *names])
        course.main()
        return capsys.readouterr().out

    return run


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
def test_what_is_there_is_not_made_again(command, tmp_path):
    command()
    out, runs = tmp_path / "out", tmp_path / "runs"
    first = files(out)
    assert set(first) == {"few.svg", "two.svg", "results.csv", "results.md"}
    done = [*runs.rglob("done.json")]
    assert len(done) == 6
    times = {path: path.stat().st_mtime_ns for path in done}

    killed = runs / "two" / "first" / "2"
    (killed / "done.json").unlink()
    (killed / "log.jsonl").write_text("{}\n")
    command("two")  # what started from it is the same, and stays
    assert [p for p in done if p.stat().st_mtime_ns != times[p]] == [killed / "done.json"]
    assert files(out) == first  # to the bit

    old = json.loads((killed / "done.json").read_text())
    old["recipe"] = old["recipe"].replace("base_lr: 0.05", "base_lr: 0.04")
    (killed / "done.json").write_text(json.dumps(old))  # as if another rate had been used
    command()
    assert "base_lr: 0.05" in (killed / "done.json").read_text()
    assert files(out) == first

    shutil.rmtree(runs / "few")
    assert "took" in command("few")
    assert files(out) == first


@pytest.mark.slow
def test_several_processes(tmp_path, monkeypatch, capsys):
    folders = ["--out", str(tmp_path / "out"), "--runs", str(tmp_path / "runs")]
    flags = ["--miniature", "--processes", "2", "ensemble", "batch-norm"]
    monkeypatch.setattr(sys, "argv", ["course.py", *folders, *flags])
    environment = dict(os.environ)
    course.main()
    assert os.environ == environment
    assert set(files(tmp_path / "out")) == {
        "ensemble.svg",
        "batch-norm.svg",
        "results.csv",
        "results.md",
    }
    assert "batch-norm 1\n" in capsys.readouterr().out


@pytest.mark.slow
def test_a_start_that_has_changed_makes_a_run_anew(command, tmp_path, monkeypatch):
    command("two")
    of = course.experiments()["two"].runs
    of["first"] = dataclasses.replace(of["first"], rate=0.01)
    last = tmp_path / "runs" / "two" / "after-it" / "1" / "done.json"
    assert "base_lr: 0.01" not in last.read_text()
    command("two")
    assert "base_lr: 0.01" in last.read_text()


def test_training_that_fails_is_no_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = EXPERIMENTS["ensemble"].miniature()
    run = dataclasses.replace(one.runs["net"], solver={"lr_policy": "none"})
    with pytest.raises((RuntimeError, CaffeliteError)):
        run.make(tmp_path / "run", 1)
    assert not (tmp_path / "run" / "done.json").exists()


@pytest.mark.parametrize("solver", [{}, {"early_stop": 3}])
def test_training_that_was_stopped_is_no_run(solver, tmp_path, monkeypatch):
    """By SIGTERM, for one, which train takes for a wish to end with a snapshot."""
    monkeypatch.chdir(tmp_path)
    start = Solver.step

    def stopped(self, *args, **kwargs):
        self.request("stop")
        return start(self, *args, **kwargs)

    monkeypatch.setattr(Solver, "step", stopped)
    with pytest.raises(RuntimeError, match="training was stopped at iteration 1"):
        run = EXPERIMENTS["ensemble"].miniature().runs["net"]
        dataclasses.replace(run, solver=run.solver | solver).make(tmp_path / "run", 1)
    assert not (tmp_path / "run" / "done.json").exists()


def test_training_that_its_tests_ended_is_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = EXPERIMENTS["ensemble"].miniature().runs["net"]
    still = {"early_stop": 1, "base_lr": 0.0}
    run = dataclasses.replace(run, iterations=4, solver=run.solver | still)
    run.make(tmp_path / "run", 1)
    assert (tmp_path / "run" / "done.json").exists()
    *_, last = _experiment.records(tmp_path / "run" / _experiment.LOG)
    assert (last["event"], last["iteration"], last["why"]) == ("stopped", 2, "early_stop")


def test_verdicts():
    def rows(one, other):
        return {("a", "test accuracy"): Row(*one), ("b", "test accuracy"): Row(*other)}

    low, high, between = (0.5, 0.4, 0.6), (0.8, 0.7, 0.9), (0.6, 0.5, 0.75)
    assert Beats("a", "b").verdict(rows(high, low)) == "yes"
    assert Beats("a", "b").verdict(rows(high, between)) == "in the mean only"
    assert Beats("a", "b").verdict(rows(between, high)) == "no"
    assert Beats("a", "b", less=True).verdict(rows(low, high)) == "yes"
    assert AsGood("a", "b", within=0.25).verdict(rows(between, high)) == "yes"
    assert AsGood("a", "b", within=0.1).verdict(rows(between, high)) == "no"
    assert AsGood("a", "b", less=True, within=0.1).verdict(rows(between, low)) == "yes"
    for bound, above, below in ((0.65, "yes", "no"), (0.75, "in the mean only", "no")):
        assert Reaches("a", bound).verdict(rows(high, low)) == above
        assert Reaches("a", bound, less=True).verdict(rows(high, low)) == below
    assert Reaches("a", 0.55, less=True).verdict(rows(low, high)) == "in the mean only"
    assert Reaches("a", 0.65, less=True).verdict(rows(low, high)) == "yes"


def test_results_are_those_of_the_files():
    """results.md is what results.csv and the experiments' files give; and each has its picture."""
    folder = course.ROOT / "models" / "course"
    rows = course.read_rows(folder / "results.csv")
    assert (folder / "results.md").read_text() == course.page(EXPERIMENTS, rows)
    assert {name for name, *_ in rows} == set(EXPERIMENTS)
    assert {path.stem for path in folder.glob("*.svg")} >= set(EXPERIMENTS)


def test_the_adding_problem_is_what_an_lstm_learns_and_an_rnn_does_not():
    """Of 100 numbers, in each seed; the mean of all sums errs by 0.167."""
    rows = course.read_rows(course.ROOT / "models" / "course" / "results.csv")
    assert rows["adding", "LSTM, 100 steps", "squared error"].largest < 0.01
    assert rows["adding", "RNN, 100 steps", "squared error"].least > 0.1


def test_unknown_names(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["course.py", "relu"])
    with pytest.raises(SystemExit, match="2"):
        course.main()
    assert "unknown: relu; there is activation, " in capsys.readouterr().err


def test_gradients_that_overflow_are_those_of_the_deck():
    net = overflow.solver("as in the deck").net
    assert overflow.gradients(net) == pytest.approx(
        {"w1": -0.01, "v": -100, "w2": -1e4, "u": -0.01}
    )
    values = {name: net.blobs[name].data for name in ("x", "u", "v", "outputs")}
    assert {name: value.tolist() for name, value in values.items()} == {
        "x": [[1, 1]],
        "u": [[100]],
        "v": [[pytest.approx(0.01)]],
        "outputs": [[0.5, 0.5]],
    }
    assert net.blobs["outputs"].diff.tolist() == [[-1, -1]]


def test_processes_may_make_the_same_samples_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write = _experiment.write_database
    written = []

    def meanwhile(path, source):
        written.append(path)
        if len(written) == 1:
            _experiment.FEW.make()  # another process, which is done first
        write(path, source)

    monkeypatch.setattr(_experiment, "write_database", meanwhile)
    _experiment.FEW.make()
    assert len(written) == 4
    assert {path.name for path in _experiment.FEW.folder.iterdir()} == {"train", "test"}
    assert [*_experiment.FEW.folder.parent.iterdir()] == [_experiment.FEW.folder]
