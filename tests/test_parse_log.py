"""parse_log: the tables that Caffe's own script makes, and logs that it stumbles over."""

import json
import math
import os
from pathlib import Path

import pytest

from caffelite.cli import main
from caffelite.errors import DataError
from caffelite.run_log.reader import read_log

GOLDEN = Path(__file__).parent / "golden" / "parse_log"
STAMP = "I0102 03:04:{:09.6f}  1234 solver.cpp:1] "


def glog(*lines, step=1.0):
    """Log lines, a second apart."""
    return "".join(STAMP.format(i * step) + line + "\n" for i, line in enumerate(lines))


def tables(capsys, path):
    assert main(["parse_log", str(path), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_tables_are_those_of_caffe(tmp_path, capsys):
    assert main(["parse_log", str(GOLDEN / "run.log"), str(tmp_path)]) == 0
    names = ["run.log.train", "run.log.test"]
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / name) for name in names]
    for name in names:
        assert (tmp_path / name).read_bytes() == (GOLDEN / name).read_bytes()


def test_tables_in_columns_are_those_of_caffes_shell_script(tmp_path, capsys):
    assert main(["parse_log", str(GOLDEN / "run.log"), str(tmp_path), "--shell"]) == 0
    for kind in ("train", "test"):
        made = (tmp_path / f"run.log.{kind}").read_text().splitlines()
        wanted = (GOLDEN / f"run.log.shell.{kind}").read_text().splitlines()
        assert made[0] == wanted[0]
        assert [line.split() for line in made] == [line.split() for line in wanted]


def test_columns_of_a_loss_that_is_no_number_and_of_a_test_with_one_output(tmp_path):
    lines = [
        {"event": "test", "iteration": 0, "net": 0, "outputs": {"a": 0.5}, "time": 10.0},
        {"event": "train", "iteration": 0, "loss": float("nan"), "lr": 1e-5, "time": 11.5},
    ]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert main(["parse_log", str(tmp_path / "x.jsonl"), str(tmp_path), "--shell"]) == 0
    assert (tmp_path / "x.jsonl.train").read_text().split()[4:] == ["0", "1.500000", "nan", "1e-05"]
    assert (tmp_path / "x.jsonl.test").read_text().split()[4:] == ["0", "0.000000", "0.5"]


def test_events_give_the_same_tables(tmp_path, capsys):
    events = [
        {"event": "test", "iteration": 0, "net": 0, "loss": 3, "outputs": {"a": 1.5}, "time": 10.0},
        {"event": "snapshot", "iteration": 0, "model": "m", "state": "s", "time": 10.5},
        *(
            {"event": "train", "iteration": i, "loss": 2.5, "outputs": {"b": i, "p": [1, 2]},
             "lr": 0.1 / (i + 1), "time": 11.0 + i}
            for i in range(3)
        ),
        {"event": "test", "iteration": 3, "net": 0, "loss": 3, "outputs": {"a": 2.5}, "time": 15.0},
        {"event": "test", "iteration": 3, "net": 1, "loss": 3, "outputs": {"a": 3.5}, "time": 16.0},
    ]  # fmt: skip
    path = tmp_path / "run.jsonl"
    path.write_text("\n".join(map(json.dumps, events)) + '\n{"event": "train", "iter')
    found = tables(capsys, path)
    head = {"b": 0.0, "p[0]": 1.0, "p[1]": 2.0}
    assert found["train"][0] == {"NumIters": 0.0, "Seconds": 1.0, "LearningRate": 0.1} | head
    assert [row["LearningRate"] for row in found["train"]] == [0.1, 0.1, 0.05]
    assert found["test"] == [
        {"NumIters": 0.0, "Seconds": 0.0, "LearningRate": 0.1 / 3, "a": 1.5},
        {"NumIters": 3.0, "Seconds": 5.0, "LearningRate": 0.1 / 3, "a": 2.5, "a#1": 3.5},
    ]


def test_tests_of_detectors(tmp_path, capsys):
    """The lines of SSD's Caffe, with those of show_per_class_result."""
    lines = ["Iteration 0, Testing net (#0)", "Ignoring source layer mbox_loss", "class1: 0.25"]
    lines += ["class2: 1e-05", "    Test net output #0: detection_eval = 0.125"]
    (tmp_path / "ssd.log").write_text(glog(*lines))
    run = read_log(str(tmp_path / "ssd.log"))
    (row,) = run.test
    assert row.outputs == [("class1", 0.25), ("class2", 1e-05), ("detection_eval", 0.125)]


def test_rates_and_losses_belong_to_their_iteration(tmp_path):
    run = read_log(GOLDEN / "run.log")
    assert [(row.iteration, row.rate) for row in run.train[:5]] == [
        (0, 0.05), (10, 0.05), (20, 0.05), (30, 0.025), (40, 0.025)
    ]  # fmt: skip
    assert run.train[1].loss == 0.713840
    assert run.test[1].loss == 0.012701  # the share of 2 * 0.00635049, as printed
    assert run.train[-1].iteration == 100  # the last forward pass: a loss, no outputs
    assert run.train[-1].outputs == [] and math.isnan(run.train[-1].rate)


def test_logs_of_old_versions(tmp_path, capsys):
    path = tmp_path / "old.log"
    path.write_text(
        "noise\n"
        + glog(
            "Solving net",
            "Iteration 0, Testing net (#0)",
            "    Test net output #0: acc = 0.5",
            "Iteration 0, loss = 0.75",
            "    Train net output #0: loss = 0.7 (* 1 = 0.7 loss)",
            "Iteration 0, lr = 1e-05",
            "Iteration 20, loss = 0.5",
        )
    )
    run = read_log(path)
    assert [(row.iteration, row.loss) for row in run.train] == [(0, 0.75), (20, 0.5)]
    assert run.train[0].rate == 1e-5
    assert tables(capsys, path)["test"] == [
        {"NumIters": 0.0, "Seconds": 2.0, "LearningRate": None, "acc": 0.5}
    ]


def test_values_that_are_no_numbers_are_left_out(tmp_path, capsys):
    path = tmp_path / "nan.log"
    path.write_text(
        glog(
            "Solving net",
            "Iteration 0 (1 iter/s, 1s/1 iters), loss = nan",
            "    Train net output #0: a = -nan",
            "    Train net output #1: b = 1",
            "Iteration 1 (1 iter/s, 1s/1 iters), loss = inf",
            "    Train net output #0: a = 2",
            "    Train net output #1: b = inf",
        )
    )
    assert main(["parse_log", str(path), str(tmp_path), "--delimiter=;"]) == 0
    lines = (tmp_path / "nan.log.train").read_text().splitlines()
    assert lines == ["NumIters;Seconds;LearningRate;b;a", "0.0;2.0;;1.0;", "1.0;5.0;;;2.0"]
    assert not (tmp_path / "nan.log.test").exists()


def test_the_year_turns(tmp_path):
    path = tmp_path / "turn.log"
    line = "I{} 23:59:59.500000  1 solver.cpp:1] {}\n"
    path.write_text(
        line.format("1231", "Solving net")
        + line.format("0101", "Iteration 5 (1 iter/s, 1s/1 iters), loss = 1")
    )
    assert read_log(path).train[0].seconds == 24 * 3600


def test_a_29th_of_february(tmp_path):
    path = tmp_path / "leap.log"
    path.write_text("I0229 10:00:00.000000 1 s:1] Iteration 5 (1 iter/s), loss = 1\n")
    os.utime(path, (1700000000, 1700000000))  # in 2023, which had none
    assert read_log(path).train[0].loss == 1


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "the file is empty"),
        (b"hello\n", "tells of no training; expected a log with"),
        (b"\0" * 200_000, "expected a log with.*200,000 bytes that are all 0"),
        (b"{}\n[1]\n", "expected a log with.* but this is JSON"),
        (b'{"event": 3}', "expected a log with.* but this is JSON"),
    ],
)
def test_a_file_that_is_no_log(content, words, tmp_path, capsys):
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_log(path)
    assert main(["parse_log", str(path), str(tmp_path)]) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_mistakes_on_the_command_line(tmp_path, capsys):
    assert main(["parse_log"]) == 2
    assert main(["parse_log", str(GOLDEN / "run.log"), str(tmp_path), "--delimiter=ab"]) == 2
    assert main(["parse_log", str(GOLDEN / "run.log"), str(tmp_path), "--shell", "--json"]) == 2
    assert main(["parse_log", str(tmp_path / "missing.log")]) == 1
    assert main(["parse_log", str(GOLDEN / "run.log"), str(tmp_path / "no" / "folder")]) == 1
    assert "no/folder" in capsys.readouterr().err
