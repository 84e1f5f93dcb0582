"""tools/course.py: experiments are trained, drawn and told."""

import dataclasses
import sys

import pytest

from tools import course

pytest.importorskip("sklearn", reason="needs the extra [demo]")
pytest.importorskip("matplotlib", reason="needs the extra [plot]")


@pytest.fixture
def short(monkeypatch):
    """Two of the experiments, with a few iterations and two seeds."""
    found = {}
    for name in ("batch-norm", "ensemble"):
        some = dict(list(course.EXPERIMENTS[name].runs.items())[:2])
        runs = {label: dataclasses.replace(one, iterations=20) for label, one in some.items()}
        found[name] = dataclasses.replace(course.EXPERIMENTS[name], runs=runs, seeds=2)
    monkeypatch.setattr(course, "EXPERIMENTS", found)


@pytest.mark.slow
def test_curves_figures_and_report(short, tmp_path, monkeypatch, capsys):
    command = ["course.py", "--out", str(tmp_path), "--runs", str(tmp_path / "runs")]
    monkeypatch.setattr(sys, "argv", command)
    course.main()
    told = capsys.readouterr().out
    head, *rows = (line.split(",") for line in told.splitlines())
    assert head == list(course.COLUMNS)
    assert [row[:3] for row in rows[::2]] == [
        ["batch-norm", "0.02 without", "training loss"],
        ["batch-norm", "0.02 with", "training loss"],
        ["ensemble", "a net alone", "test accuracy"],
    ]
    for *_, mean, least, largest in rows:
        assert float(least) <= float(mean) <= float(largest)
    assert (tmp_path / "results.csv").read_text() == told
    for name in course.EXPERIMENTS:
        assert (tmp_path / f"{name}.svg").read_bytes().startswith(b"<?xml")

    monkeypatch.setattr(course, "train", lambda *_: None)  # again, from the logs
    course.main()
    assert capsys.readouterr().out == told


def test_unknown_names(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["course.py", "relu"])
    with pytest.raises(SystemExit, match="2"):
        course.main()
    assert "unknown: relu; there is activation, " in capsys.readouterr().err
