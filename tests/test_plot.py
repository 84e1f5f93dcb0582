"""plot: what belongs into which panel, pictures that show it, and curves as text."""

import io
import json
import math
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from caffelite.cli import main
from caffelite.cli._text_plot import lines
from caffelite.pictures import curves
from caffelite.pictures.curves import Curve, labels, panels
from caffelite.run_log.rows import Row, Run

GOLDEN = Path(__file__).parent / "golden" / "parse_log" / "run.log"


def curves_of(capsys, *words):
    assert main(["plot", *map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_panels_of_a_run(capsys):
    found = curves_of(capsys, GOLDEN)
    assert list(found) == ["loss", "accuracy", "learning rate"]
    train, test = found["loss"]
    assert (train["run"], train["phase"], test["phase"]) == ("run", "train", "test")
    assert train["x"] == list(range(0, 101, 10)) and train["y"][1] == 0.71384
    assert test["x"] == [0, 25, 50, 75, 100] and test["y"][1] == 0.012701
    (rate,) = found["learning rate"]
    assert (rate["x"][3], rate["y"][3]) == (30, 0.025)
    assert list(curves_of(capsys, GOLDEN, "--y=accuracy")) == ["accuracy"]
    seconds = curves_of(capsys, GOLDEN, "--x=seconds")["accuracy"][0]["x"]
    assert seconds == sorted(seconds) and 0 < seconds[-1] < 10


def test_several_runs_in_one_panel(tmp_path, capsys):
    other = tmp_path / "other.log"
    other.write_text(GOLDEN.read_text())
    accuracy = curves_of(capsys, GOLDEN, other)["accuracy"]
    assert [curve["run"] for curve in accuracy] == ["run", "other"]
    assert labels(["a/x.log", "b/x.log", "y.jsonl"]) == ["a/x.log", "b/x.log", "y"]


def test_several_runs_are_compared(tmp_path, capsys):
    paths = []
    for rate, fall in ((0.1, 1), (0.25, 2)):
        start = {
            "event": "start",
            "iteration": 0,
            "time": 0,
            "solver": f"base_lr: {rate}\ngamma: 3",
        }
        train = [
            {"event": "train", "iteration": i, "time": i, "loss": 9 - fall * i, "lr": rate}
            | {"images": 4, "seconds": 0.5}
            for i in range(4)
        ]
        paths.append(str(tmp_path / f"run{fall}.jsonl"))
        Path(paths[-1]).write_text("".join(json.dumps(one) + "\n" for one in (start, *train)))
    assert main(["plot", *paths]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["best", "run1", "run2"] in lines and ["setting", "run1", "run2"] in lines
    assert ["train", "loss", "6", "at", "3", "3", "at", "3"] in lines
    assert ["base_lr", "0.1", "0.25"] in lines and not any("gamma" in line for line in lines)
    assert main(["plot", paths[0]]) == 0
    assert "best" not in capsys.readouterr().out
    speed = curves_of(capsys, paths[0], "--y=images/s")["images/s"]
    assert speed[0]["y"] == [8, 8, 8] and "images/s" not in curves_of(capsys, paths[0])


def rows(*numbers, **outputs):
    return [Row(i, i, 0.1, 0.1, loss=float(i), outputs=list(outputs.items())) for i in numbers]


def test_what_a_resumed_run_does_anew_is_left_out():
    run = Run(rows(0, 10, 20, 30, 20, 30, 40))
    assert panels({"r": run})["loss"][0].x == [0, 10, 20, 30, 40]
    tests = [Row(i, i, 0.1, loss=i + net, net=net) for i in (0, 10, 10, 20) for net in (0, 1)]
    found = panels({"r": Run(test=tests)})
    assert found["loss"][0].x == found["loss#1"][0].x == [0, 10, 20]


def test_an_output_that_is_the_loss_is_shown_once():
    test = [Row(i, i, 0.1, loss=i + 1.0, outputs=[("xent", i + 1.0), ("f", 3.0)]) for i in range(3)]
    train = [Row(i, i, 0.1, loss=5.0, outputs=[("xent", 7.0 + i)]) for i in range(3)]
    assert list(panels({"r": Run(train, test)})) == ["loss", "f"]


def test_smoothing_is_of_training_alone():
    train, test = rows(0, 1, 2, 3), rows(0, 1, 2, 3)
    smoothed, plain = panels({"r": Run(train, test)}, smooth=2)["loss"]
    assert smoothed.y == [0, 0.5, 1.5, 2.5]
    assert plain.y == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "kind", ["png", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("svg", "pdf"))]
)
def test_pictures(kind, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    out, again = tmp_path / f"a.{kind}", tmp_path / f"b.{kind}"
    for path in (out, again):
        assert main(["plot", str(GOLDEN), "--out", str(path)]) == 0
        assert capsys.readouterr().out == f"{path}\n"
    starts = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    assert out.read_bytes().startswith(starts[kind])
    assert out.read_bytes() == again.read_bytes()


def test_a_picture_shows_the_curve(tmp_path):
    """The blue line of the accuracy rises: its pixels on the left are below those on the right."""
    pytest.importorskip("matplotlib")
    from caffelite.pictures.plot import picture

    data = picture({"a": [Curve("r", "test", [0, 1], [0.0, 1.0])]}, "iteration", False, "png")
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    blue = (abs(pixels - (0, 0x72, 0xB2)) < 30).all(axis=2)
    y, x = np.nonzero(blue)
    assert len(x) > 300
    assert y[x < np.quantile(x, 0.1)].mean() > y[x > np.quantile(x, 0.9)].mean() + 50


def test_logarithmic_axes_are_for_losses(capsys):
    assert main(["plot", str(GOLDEN)]) == main(["plot", str(GOLDEN), "--log-y"]) == 0
    plain, log = (part.split("\n\n") for part in capsys.readouterr().out.split("loss\n")[1:])
    assert plain[0] != log[0] and plain[1] == log[1]
    assert float(plain[0].split()[0]) == float(log[0].split()[0]) == 3.661


def test_without_matplotlib_there_is_a_hint(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["plot", str(GOLDEN), "--out", str(tmp_path / "x.svg")]) == 1
    assert "caffelite[plot]" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert main(["plot", str(GOLDEN)]) == 0  # as text, it goes without
    assert "accuracy" in capsys.readouterr().out


def test_curves_as_text():
    found = lines("up", [Curve("r", "test", [0, 10], [1.0, 5.0])], width=33, height=5)
    assert [line.rstrip() for line in found] == [
        "up",
        "            │                 ***",
        "          4 │            *****",
        "            │        ****",
        "            │   *****",
        "          1 │***",
        "            └" + "─" * 20,
        "             0                 10",
        "             * r test, last 5",
    ]
    two = [Curve("a", "train", [0, 1], [1, 1]), Curve("b", "train", [0, 1], [10, 100])]
    text = "\n".join(lines("t", two, width=60, log=True))
    assert "o b train, last 100" in text
    assert lines("t", [Curve("a", "train", [0], [0.0])], log=True)[1].startswith("nothing")
    assert lines("t", [Curve("a", "train", [3], [2.0])])  # a single point


def test_colors_are_for_terminals_without_no_color():
    command = [sys.executable, "-m", "caffelite", "plot", str(GOLDEN), "--y=loss"]
    plain = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "\033" not in plain
    for environment, colored in (({}, True), ({"NO_COLOR": "1"}, False)):
        master, slave = pty.openpty()
        env = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | environment
        subprocess.run(command, stdout=slave, env=env | {"TERM": "xterm"}, check=True)
        os.close(slave)
        assert (b"\033[" in os.read(master, 1 << 16)) == colored
        os.close(master)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "LOG"),
        ([str(GOLDEN), "--out=curves.gif"], 2, ".svg, .png, .pdf"),
        ([str(GOLDEN), "--smooth=0"], 2, "at least 1"),
        ([str(GOLDEN), "--x=epoch"], 2, "epoch"),
        ([str(GOLDEN), "--y=acuracy"], 1, 'did you mean "accuracy"?'),
        (["missing.log"], 1, "missing.log"),
        ([__file__], 1, "tells of no training"),
    ],
)
def test_mistakes(words, code, said, capsys):
    assert main(["plot", *words]) == code
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("extra", [[], ["--log-y"], ["--x", "seconds"], ["--smooth", "2"]])
def test_numbers_at_the_ends_of_what_floats_can_be_are_plotted(extra, tmp_path, capsys):
    losses = (1e308, 1.7e308, -1.7e308, 5e-324, 0.0)
    rows = [
        {"event": "train", "iteration": 10**15 - 9 + k, "time": loss, "loss": loss, "lr": loss}
        for k, loss in enumerate(losses)
    ]
    rows.append({"event": "train", "iteration": 1, "time": 1, "loss": -1, "lr": [], "outputs": 7})
    path = tmp_path / "log"
    path.write_text("\n".join(map(json.dumps, rows)))
    assert main(["plot", str(path), *extra]) == 0
    assert "loss" in capsys.readouterr().out


def test_smoothing_takes_no_longer_for_a_longer_mean():
    values = np.array([float(k % 7) for k in range(20_000)])
    begun = time.process_time()
    smooth = curves.smoothed(values, 10_000)
    assert time.process_time() - begun < 5
    assert list(smooth[:2]) == [0, 0.5] and smooth[-1] == math.fsum(values[-10_000:]) / 10_000


def test_what_was_large_once_leaves_no_errors_in_later_means():
    values = np.array([1.0, 2.0, 1e300, 3.0, 4.0, 5.0, np.nan, 6.0])
    assert list(curves.smoothed(values, 2)[[0, 1, 4, 5, 7]]) == [1, 1.5, 3.5, 4.5, 6]
    assert np.isnan(curves.smoothed(values, 2)[6])
    for count in (1, 2, 3, 5, 7, 8, 9, 10**9):
        found = curves.smoothed(np.arange(8.0), count)
        wanted = [np.arange(max(0, i - count + 1), i + 1).mean() for i in range(8)]
        np.testing.assert_allclose(found, wanted, rtol=1e-15)
