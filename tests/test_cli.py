"""The command line: flags, exit codes, log lines that Caffe's parsers read, training by signals."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import caffelite
from caffelite.cli import commands, main
from caffelite.cli._flags import Parser
from caffelite.glog import GlogFormatter, on_terminal, start_logging
from caffelite.layers import layer_types
from caffelite.proto import caffe_pb2
from caffelite.run_log.reader import read_log
from caffelite.run_log.writer import RunLog

NET = """
name: "tiny"
layer { name: "data" type: "DummyData" top: "x" top: "t"
        dummy_data_param { shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 }
                           data_filler { type: "gaussian" } data_filler { value: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y"
        inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" loss_weight: 2 }
layer { name: "norm" type: "TanH" bottom: "y" top: "norm" include { stage: "more" } }
"""

SOLVER = """
net: "net.prototxt"
base_lr: 0.01
lr_policy: "fixed"
momentum: 0.9
display: 2
max_iter: 4
test_iter: 3
test_interval: 4
snapshot: 2
snapshot_prefix: "tiny"
random_seed: 1
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(NET)
    Path("solver.prototxt").write_text(SOLVER)
    yield tmp_path
    start_logging(quiet=True)


def caffelite_process(*words, **options):
    command = [sys.executable, "-m", "caffelite", *words]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    return subprocess.Popen(command, **options)


def caffelite_run(*words, **options):
    """(exit code, stdout, stderr)"""
    process = caffelite_process(*words, **options)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


# Help comes at once


def test_help_is_quick():
    """In processor time: what else the machine does is no matter."""
    resource = pytest.importorskip("resource")

    def seconds():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert caffelite_run("--help")[0] == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(5)) < 0.3


def test_help_needs_no_numbers():
    code = """
import sys
from caffelite.cli import commands, main
for words in ["--help"], ["--version"], *([command, "-help"] for command in commands()):
    print(words, flush=True)
    assert main(words) == 0, words
    assert not {"numpy", "numba", "google.protobuf"} & set(sys.modules), words
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    parts = re.split(r"^\[.*\]\n", done.stdout, flags=re.M)[1:]
    assert len(parts) == 2 + len(commands()) and all(parts)


def test_help_names_all_commands_and_exit_codes(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for name in commands():
        assert re.search(rf"^  {name} +[A-Z]\w+ ", out, re.M), name
    for code in (0, 1, 2, 130, 143):
        assert re.search(rf"^  {code} +\w", out, re.M)
    assert "others:" not in out, "give each command a group, in caffelite/cli/__init__.py"


def test_help_begins_with_what_to_type_and_its_lines_are_aligned(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert next(line.split()[1] for line in lines if line.startswith("  caffelite")) == "demo"
    groups = [line for line in lines if re.fullmatch(r"[a-z].*:", line)]
    assert groups[0] == "train and test:" and lines[lines.index(groups[0]) + 1][2:].startswith(
        "train "
    )
    listed = lines[lines.index(groups[0]) : lines.index("exit codes:")]
    begun = [line for line in listed if line.startswith("  ")]
    assert len(max(begun, key=len)) <= 80
    assert {len(re.match(r"  +\S* +(?=\S)|  +", line)[0]) for line in begun if line[2] != " "} == {
        len("  compute_bn_statistics  ")
    }


ODD = """
default_forward_type: FLOAT16
layer { name: "data" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" forward_math: FLOAT16
        inner_product_param { num_output: 2 } }
"""


@pytest.mark.parametrize(
    "words",
    [
        ["time", "odd.prototxt", "--iterations=1"],  # two nets
        ["draw", "odd.prototxt", "odd.dot"],  # both phases
        ["summary", "odd.prototxt"],
        ["train", "solver.prototxt", "--iterations=1", "--set", "net=odd.prototxt"],  # two nets
        ["test", "odd.prototxt", "--iterations=1", "--allow-missing"],
    ],
    ids=lambda words: words[0],
)
def test_a_warning_comes_once_and_names_the_file(folder, words, capsys):
    Path("odd.prototxt").write_text(ODD)
    for _ in range(2):  # in each of two commands
        main([*words, "-q"])
        told = [line for line in capsys.readouterr().err.splitlines() if "forward_math" in line]
        assert len(told) == 1 and told[0].startswith("odd.prototxt:4: layer "), told


@pytest.mark.parametrize("load, told", [(0.0, "--threads N says otherwise"), (9e3, "is busy")])
def test_the_threads_are_told_and_a_busy_machine(load, told, monkeypatch, caplog):
    import numba

    from caffelite.cli.train import _tell_threads

    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", 2)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0, 0), raising=False)
    caplog.set_level("INFO", "caffelite")
    _tell_threads(logging.getLogger("caffelite"))
    assert caplog.messages[0].startswith("2 threads") and told in caplog.messages[0]


def test_a_command_is_written_with_either_stroke(capsys):
    for name in ("find-lr", "find_lr", "parse_log", "parse-log"):
        assert main([name, "--help"]) == 0
    assert "find-lr" in commands()


def test_version(capsys):
    assert main(["-version"]) == 0
    assert capsys.readouterr().out == f"caffelite {caffelite.__version__}\n"


# Mistakes on the command line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "usage: caffelite COMMAND"),
        (["trian"], 'unknown command "trian"; did you mean "train"?'),
        (["xyzzy"], "known are "),
        (["--solver=x", "train"], "caffelite COMMAND --solver=x"),
        (["train", "--slover", "x"], 'unknown flag --slover; did you mean "--solver"?'),
        (["train"], "--solver"),
        (["train", "-solver"], "expected one argument"),
        (["train", "-solver=x", "more"], "usage: caffelite train"),
        (["train", "-solver=x", "-sigint_effect=halt"], "invalid choice: 'halt'"),
        (["train", "-solver=x", "-sighup_effect="], "invalid choice: ''"),
        (["test", "-model=x"], "--weights"),
        (["time"], "--model"),
        (["train", "-solver=x", "-iterations=many"], "many"),
        (["train", "-solver=x", "-snapshot=s", "-weights=w"], "exclude each other"),
        (["test", "-model=x", "-weights=y", "-iterations=0"], "at least 1"),
        (["test", "-model=x", "-weights=y", "-json=maybe"], "expected true or false"),
        (["time", "-model=x", "-phase=TRIAN"], "TRIAN"),
        (["summary"], "expected one net's prototxt"),
        (["layers", "Relu"], 'did you mean "ReLU"?'),
        (["layers", "ReLU", "TanH"], "TanH"),
        (
            ["visualize", "gradcam", "cat.jpg", "out.png", "--weights=w", "--model=m"],
            "unexpected out.png: expected WHAT OUT.png and no more; files may also be given with "
            "--picture,",
        ),
        (["visualize", "gradcam", "cat.jpg", "--weights=w"], "look at is given with --picture"),
        (["doctor", "more"], "unexpected more: expected flags and no more"),
    ],
)
def test_usage_errors(words, said, capsys):
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert said in err and not out


@pytest.mark.parametrize(
    "words",
    [
        ["-model", "m", "-rate", "0.5", "-gray", "rest"],
        ["--model", "m", "--rate", "0.5", "--gray", "rest"],
        ["-model=m", "--rate=0.5", "-gray=true", "rest"],
        ["-rate=0.5", "rest", "-nogray", "-gray", "--no_json", "-json=false", "--model=m"],
    ],
)
def test_spellings_of_flags(words):
    import argparse

    parser = Parser(prog="x")
    parser.add_argument("--model")
    parser.add_argument("--rate", type=float)
    parser.add_argument("--gray", action=argparse.BooleanOptionalAction)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("more")
    args = parser.parse_args(words)
    assert vars(args) == {"model": "m", "rate": 0.5, "gray": True, "json": False, "more": "rest"}


def test_dashes_and_underscores_in_flags_are_one():
    parser = Parser(prog="x")
    parser.add_argument("--sighup_effect")
    parser.add_argument("--allow-python")
    parser.add_argument("--shift", type=int)
    args = parser.parse_args(["-sighup-effect=a", "--allow_python", "b", "-shift", "-3"])
    assert (args.sighup_effect, args.allow_python, args.shift) == ("a", "b", -3)


# Mistakes in files


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "-solver=none.prototxt"], "none.prototxt"),
        (["train", "-solver=solver.prototxt", "-snapshot=no.solverstate"], "no.solverstate"),
        (["train", "-solver=solver.prototxt", "-weights=no.caffemodel"], "no.caffemodel"),
        (["train", "-solver=solver.prototxt", "-log=no/log.jsonl"], "no/log.jsonl"),
        (["train", "-solver=net.prototxt"], "net.prototxt:2"),
        (["test", "-model=none.prototxt", "-weights=x"], "none.prototxt"),
        (["test", "-model=net.prototxt", "-weights=net.prototxt"], "net.prototxt"),
        (["time", "-model=none.prototxt"], "none.prototxt"),
        (["summary", "none.prototxt"], "none.prototxt"),
        (["draw", "none.prototxt", "x.dot"], "none.prototxt"),
    ],
)
def test_a_users_mistake_is_told_without_a_traceback(words, said, folder, capsys):
    assert main(words) == 1
    out, err = capsys.readouterr()
    last = err.splitlines()[-1]
    assert said in err and "Traceback" not in err and not out and not re.match(r"I\d{4} ", last)
    assert not [name for name in os.listdir() if name.startswith(".")]


def test_a_mistake_in_a_process(folder):
    code, out, err = caffelite_run("train", "--solver", "none.prototxt")
    assert code == 1 and "none.prototxt" in err and "Traceback" not in err and not out


@pytest.mark.skipif(sys.platform == "win32", reason="pipes differ")
def test_a_reader_that_goes_away_is_no_mistake(folder):
    process = caffelite_process("layers")
    process.stdout.close()
    assert process.stderr.read() == "" and process.wait(120) == 0


def in_a_shell(command):
    """(exit code, stdout, stderr) of a command with redirections."""
    line = f'exec "{sys.executable}" -m caffelite {command}'
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


streams = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux devices")


@streams
@pytest.mark.parametrize(
    "closed",
    [
        "<&- >&- 2>&-",
        *(pytest.param(c, marks=pytest.mark.slow) for c in ("2>&-", ">/dev/full 2>/dev/full")),
    ],
)
def test_training_goes_on_without_anybody_to_tell(folder, closed):
    said = in_a_shell(f"train --solver solver.prototxt --log log.jsonl {closed}")
    assert said == (0, "", "")
    assert Path("tiny_iter_4.solverstate").exists()
    events = [json.loads(line) for line in Path("log.jsonl").read_text().splitlines()]
    assert events[-1]["event"] == "done"  # and nothing else has got into the file


@pytest.mark.slow
@streams
def test_training_goes_on_when_its_reader_is_gone(folder):
    process = caffelite_process("train", "--solver", "solver.prototxt")
    process.stderr.readline()
    process.stderr.close()
    assert process.wait(120) == 0
    assert Path("tiny_iter_4.solverstate").exists()


@streams
@pytest.mark.parametrize(
    "words",
    [
        "summary net.prototxt",
        *(pytest.param(w, marks=pytest.mark.slow) for w in ("layers", "--help", "-version")),
    ],
)
def test_an_answer_that_cannot_be_written_is_an_error(folder, words):
    """Whether it fails at the end, as a short one, or on the way."""
    assert in_a_shell(f"{words} >/dev/full") == (1, "", "stdout: No space left on device\n")


def test_nothing_is_logged_to_a_closed_stderr(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    start_logging().info("a line")
    assert not on_terminal()
    assert capsys.readouterr().out == ""


# Log lines


PREFIX = re.compile(r"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d{6} [ \d]{4}\d+ [\w.]+:\d+\] ")


def test_the_prefix_of_a_line():
    record = logging.LogRecord("caffelite", logging.ERROR, "/a/net.py", 7, "%s!", ("ü",), None)
    record.created = time.mktime((2024, 3, 9, 4, 5, 6, 0, 0, -1)) + 0.000042
    line = GlogFormatter().format(record)
    assert line.startswith("E0309 04:05:06.00004") and line.endswith(" net.py:7] ü!")
    assert PREFIX.match(line)


def log_of(err):
    """The messages of a log; each line must have glog's prefix."""
    lines = err.splitlines()
    assert all(PREFIX.match(line) for line in lines), [x for x in lines if not PREFIX.match(x)]
    return [PREFIX.sub("", line, count=1) for line in lines]


def number(text):
    return r"([-+\w.]+)" if text == "#" else text


def has(messages, pattern):
    """Whether a message is `pattern`, in which # stands for any number."""
    regex = re.escape(pattern).replace(r"\#N", "#N").replace(r"\#", "([-+e.0-9]+)")
    return [m for m in messages if re.fullmatch(regex.replace("#N", "#"), m)]


def test_training_logs_the_lines_that_parsers_rely_on(folder, capsys):
    assert main(["train", "-solver", "solver.prototxt"]) == 0
    out, err = capsys.readouterr()
    messages = log_of(err)
    assert not out
    first = messages.index("Solving tiny")
    assert messages[first + 1] == "Learning Rate Policy: fixed"
    for pattern in (
        "Starting Optimization",
        "Iteration 0, Testing net (#N0)",
        "    Test net output #N0: loss = # (* 2 = # loss)",
        "Iteration 2 (# iter/s, #s/2 iters), loss = #",
        "    Train net output #N0: loss = # (* 2 = # loss)",
        "Iteration 2, lr = 0.01",
        "Snapshotting to binary proto file tiny_iter_4.caffemodel",
        "Snapshotting solver state to binary proto file tiny_iter_4.solverstate",
        "Iteration 4, loss = #",
        "Iteration 4, Testing net (#N0)",
    ):
        assert has(messages, pattern), f"{pattern} not in\n" + "\n".join(messages)
    assert messages.count("Optimization Done.") == 2  # the solver's and the command's
    order = [m for m in messages if m.startswith(("Iteration 2", "    Train net"))]
    at = next(i for i, m in enumerate(order) if m.startswith("Iteration 2 ("))
    assert order[at + 1].startswith("    Train net") and order[at + 2] == "Iteration 2, lr = 0.01"


def test_fields_that_shell_parsers_count(folder, capsys):
    """Old scripts split at blanks: test value = field 11, lr = field 9, time = field 2."""
    assert main(["train", "-solver", "solver.prototxt"]) == 0
    lines = capsys.readouterr().err.splitlines()
    test = next(line for line in lines if "Test net output #0" in line).split()
    assert test[9] == "=" and float(test[10]) > 0
    rate = next(line for line in lines if ", lr = " in line).split()
    assert rate[7] == "=" and float(rate[8]) == 0.01
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{6}", rate[1])
    assert re.search(r"Iteration (\d+)", " ".join(rate))[1] == "0"


def test_a_gpu_is_waved_off(folder, capsys):
    assert main(["time", "-model=net.prototxt", "-gpu=0", "-iterations=1"]) == 0
    assert re.search(r"^W\d{4} .*-gpu 0: there is no GPU support", capsys.readouterr().err, re.M)
    Path("solver.prototxt").write_text(SOLVER + "solver_mode: GPU")
    assert main(["train", "-solver=solver.prototxt", "-iterations=0"]) == 0
    said = r"^W\d{4} .*\] solver.prototxt: solver_mode: GPU: there is no GPU support"
    assert re.search(said, capsys.readouterr().err, re.M)


def test_devices_are_queried_in_vain(capsys):
    assert main(["device_query"]) == 0
    assert log_of(capsys.readouterr().err) == ["Querying GPUs "]
    assert main(["device_query", "-gpu=all"]) == 1
    assert "-gpu all: there is no GPU support here" in capsys.readouterr().err


# train


def events_of(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_events_go_to_a_file(folder):
    Path("log.jsonl").write_text('{"event": "of before"}\n')
    before = time.time()
    assert main(["train", "-solver=solver.prototxt", "-log=log.jsonl", "-iterations=6"]) == 0
    first, start, *events = events_of("log.jsonl")
    assert first == {"event": "of before"} and start["event"] == "start"
    assert [(e["event"], e["iteration"]) for e in events] == [
        ("test", 0),
        ("train", 0),
        ("snapshot", 2),
        ("train", 2),
        ("snapshot", 4),
        ("test", 4),
        ("train", 4),
        ("snapshot", 6),
        ("done", 6),
    ]
    train = events[1]
    assert train["lr"] == pytest.approx(0.01) and train["images"] == 4
    assert train["loss"] == pytest.approx(2 * train["outputs"]["loss"], rel=1e-5)
    assert events[0]["outputs"]["loss"] > 0 and events[2]["state"] == "tiny_iter_2.solverstate"
    assert before < events[-1]["time"] < time.time()


def test_resuming_continues(folder, capsys):
    assert main(["train", "-solver=solver.prototxt"]) == 0
    through = Path("tiny_iter_4.caffemodel").read_bytes()
    os.remove("tiny_iter_4.caffemodel")
    Path("solver.prototxt").write_text(SOLVER + 'weights: "none.caffemodel"')
    capsys.readouterr()
    assert main(["train", "-solver=solver.prototxt", "-snapshot=tiny_iter_2.solverstate"]) == 0
    assert Path("tiny_iter_4.caffemodel").read_bytes() == through
    messages = log_of(capsys.readouterr().err)
    assert "Resuming from tiny_iter_2.solverstate" in messages
    assert not has(messages, "Finetuning from none.caffemodel")
    assert not has(messages, "Iteration 0, Testing net (#N0)")


def test_weights_replace_those_of_the_solver(folder, capsys):
    assert main(["train", "-solver=solver.prototxt"]) == 0
    Path("solver.prototxt").write_text(SOLVER + 'weights: "none.caffemodel"')
    capsys.readouterr()
    weights = "tiny_iter_2.caffemodel, tiny_iter_4.caffemodel"
    assert main(["train", "-solver=solver.prototxt", f"-weights={weights}"]) == 0
    messages = log_of(capsys.readouterr().err)
    assert "Finetuning from tiny_iter_4.caffemodel" in messages
    assert not [m for m in messages if "none" in m]


def test_stages_level_and_phase_reach_the_train_net_only(folder, capsys):
    Path("net.prototxt").write_text(
        NET
        + """layer { name: "deep" type: "Silence" bottom: "y" include { min_level: 2 } }
        layer { name: "tested" type: "Silence" bottom: "y" include { phase: TEST } }"""
    )
    words = ["-stage=more,other", "-level=2", "-phase=test", "-iterations=1"]
    assert main(["train", "-solver=solver.prototxt", *words]) == 0
    messages = log_of(capsys.readouterr().err)
    made = [m.removeprefix("Creating Layer ") for m in messages if m.startswith("Creating Layer ")]
    of_test_net = made[made.index("data", 1) :]
    of_train_net = made[: len(made) - len(of_test_net)]
    assert {"norm", "deep", "tested"} <= set(of_train_net)
    assert {"norm", "deep"}.isdisjoint(of_test_net) and "tested" in of_test_net


def test_the_level_of_the_command_line_goes_before_the_solvers(folder, capsys):
    Path("net.prototxt").write_text(
        NET
        + """layer { name: "deep" type: "Silence" bottom: "y" include { min_level: 2 } }
        layer { name: "staged" type: "Silence" bottom: "y" include { stage: "a" stage: "b" } }"""
    )
    Path("solver.prototxt").write_text(SOLVER + 'train_state { level: 2 stage: "a" }')
    assert main(["train", "-solver=solver.prototxt", "-iterations=0", "-stage=b"]) == 0
    messages = log_of(capsys.readouterr().err)
    assert "solver.prototxt: level 2 of train_state gives way to --level 0, as in Caffe" in messages
    assert "Creating Layer deep" not in messages and "Creating Layer staged" in messages


@pytest.mark.parametrize(
    ("words", "made"),
    [([], True), (["-stage="], True), (["-stage=x"], False), (["-stage=x,"], True)],
)
def test_no_stage_is_the_stage_without_a_name(folder, capsys, words, made):
    """As in Caffe, which splits the flag at its commas, and one name comes of none."""
    Path("net.prototxt").write_text(
        NET + 'layer { name: "odd" type: "Silence" bottom: "y" include { stage: "" } }'
    )
    assert main(["time", "-model=net.prototxt", "-iterations=1", *words]) == 0
    assert ("Creating Layer odd" in log_of(capsys.readouterr().err)) == made


def test_a_cut_off_line_of_a_log_is_ended(folder, capsys):
    """Else the first event of the next run would be lost, too."""
    Path("log.jsonl").write_text('{"event": "train", "iteration": 0, "lo')
    assert main(["train", "-solver=solver.prototxt", "-log=log.jsonl"]) == 0
    assert "log.jsonl: its last line is cut off" in capsys.readouterr().err
    cut, *lines = Path("log.jsonl").read_text().splitlines()
    assert cut == '{"event": "train", "iteration": 0, "lo'
    assert [json.loads(line)["event"] for line in lines[:3]] == ["start", "test", "train"]
    run = read_log("log.jsonl")
    assert [row.iteration for row in run.train] == [0, 2]
    assert main(["train", "-solver=solver.prototxt", "-log=log.jsonl"]) == 0
    assert "cut off" not in capsys.readouterr().err


@streams
def test_training_goes_on_where_its_log_cannot_be_written(folder, capsys):
    assert main(["train", "-solver=solver.prototxt", "-log=/dev/full"]) == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("W")]
    assert [PREFIX.sub("", line, count=1) for line in warnings] == [
        "/dev/full: cannot be written: No space left on device; training goes on without its log",
        "/dev/full: 8 events could not be written",
    ]
    assert Path("tiny_iter_4.solverstate").exists()


def test_a_log_goes_on_once_there_is_room(folder):
    """A line of which only a part found room is ended, so that the next one is whole."""
    room = [5, 0, 0, None, None]

    class Disk:
        def write(self, data):
            left = room.pop(0)
            if left == 0:
                raise OSError(28, "No space left on device")
            return disk.write(data[:left])

        def close(self):
            disk.close()

    events = RunLog("log.jsonl")
    disk, events.file = events.file, Disk()
    for iteration in range(4):
        events({"event": "snapshot", "iteration": iteration})
    events.close()
    cut, *lines = Path("log.jsonl").read_text().splitlines()
    assert cut == '{"eve' and [json.loads(line)["iteration"] for line in lines] == [2, 3]


posix = pytest.mark.skipif(sys.platform == "win32", reason="signals differ")


def train_until(signals, *flags):
    """Train on and on; send each of `signals` at its iteration; returns (exit code, log lines)."""
    Path("solver.prototxt").write_text(
        SOLVER.replace("max_iter: 4", "max_iter: 1000000")
        .replace("snapshot: 2", "snapshot: 0")
        .replace("display: 2", "display: 50")
        .replace("test_iter: 3", "").replace("test_interval: 4", "")
    )  # fmt: skip
    process = caffelite_process("train", "-solver=solver.prototxt", *flags)
    lines, wanted = [], list(signals)
    for line in process.stderr:
        lines.append(line.rstrip("\n"))
        if wanted and re.search(rf"Iteration {wanted[0][0]}\b", line):
            process.send_signal(wanted.pop(0)[1])
    return process.wait(120), lines


@posix
def test_sigint_stops_with_a_snapshot(folder):
    code, lines = train_until([(100, signal.SIGINT)])
    messages = log_of("\n".join(lines))
    assert code == 130 and messages[-2:] == ["Optimization stopped early.", "Optimization Done."]
    (state,) = Path().glob("tiny_iter_*.solverstate")
    assert int(re.search(r"\d+", state.name)[0]) > 100
    assert "Traceback" not in "\n".join(lines)


@posix
def test_sigterm_stops_with_a_snapshot_and_its_own_exit_code(folder):
    code, lines = train_until([(100, signal.SIGTERM)])
    messages = log_of("\n".join(lines))
    assert code == 143 and messages[-2:] == ["Optimization stopped early.", "Optimization Done."]
    (state,) = Path().glob("tiny_iter_*.solverstate")
    assert int(re.search(r"\d+", state.name)[0]) > 100


@posix
@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_signal_stops_at_once(number, code, folder, monkeypatch):
    from caffelite.solver import Solver

    clock = [0.0]
    monkeypatch.setattr("caffelite.cli.train.time.monotonic", lambda: clock[0])

    def step(solver, n):
        for clock[0] in (0, 0.9):  # nobody heeds the first one, nor its echo
            signal.raise_signal(number)
        clock[0] = 1
        signal.raise_signal(number)
        raise AssertionError("the signal did nothing")

    monkeypatch.setattr(Solver, "step", step)
    assert main(["train", "-solver=solver.prototxt"]) == code
    assert not list(Path().glob("tiny_iter_*"))
    assert signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)


@pytest.mark.slow
@posix
def test_sighup_takes_a_snapshot_and_goes_on(folder):
    code, _ = train_until([(50, signal.SIGHUP), (200, signal.SIGINT)])
    states = sorted(int(re.search(r"\d+", p.name)[0]) for p in Path().glob("*.solverstate"))
    assert code == 130 and len(states) == 2 and states[0] < states[1]


@pytest.mark.slow
@posix
def test_effects_of_signals_can_be_chosen(folder):
    flags = ["-sigint_effect=none", "-sighup_effect", "stop", "-sigterm_effect=none"]
    signals = [(50, signal.SIGINT), (100, signal.SIGTERM), (200, signal.SIGHUP)]
    code, _ = train_until(signals, *flags)
    (state,) = Path().glob("tiny_iter_*.solverstate")
    assert code == 129 and int(re.search(r"\d+", state.name)[0]) > 200


@posix
@pytest.mark.parametrize(
    "number, code, said",
    [
        pytest.param(signal.SIGINT, 130, "interrupted\n", marks=pytest.mark.slow),
        (signal.SIGTERM, 143, "terminated\n"),
    ],
)
def test_a_signal_while_still_building_ends_with_its_code(folder, number, code, said):
    os.mkfifo("late.prototxt")
    process = caffelite_process("summary", "late.prototxt")
    with open("late.prototxt", "w"):  # opens once the command reads it
        process.send_signal(number)
        assert process.wait(60) == code
    assert process.stderr.read() == said


@posix
def test_sigterm_leaves_nothing_half_done(folder, monkeypatch):
    """As an error does, it ends what is being written under a passing name."""
    from caffelite.data import features

    def write(self, name, rows):
        assert [name for name in os.listdir() if name.startswith(".made")]
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(features.KINDS["npz"], "write", write)
    Path("solver.prototxt").write_text(SOLVER)
    assert main(["train", "-solver=solver.prototxt"]) == 0
    words = ["extract_features", "tiny_iter_4.caffemodel", "net.prototxt", "y", "made.npz", "2"]
    assert main([*words, "npz"]) == 143
    assert not [name for name in os.listdir() if "made" in name]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def on_a_terminal(*words):
    """What a terminal shows of a command that goes well."""
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    process = caffelite_process(*words, stdout=slave, stderr=slave)
    os.close(slave)
    text = ""
    while True:
        try:
            chunk = os.read(master, 4096)
        except OSError:  # Linux's way to say that the terminal is closed
            break
        if not chunk:
            break
        text += chunk.decode()
    os.close(master)
    assert process.wait(60) == 0
    return text


@posix
def test_a_terminal_gets_a_bar(folder):
    text = on_a_terminal("train", "-solver=solver.prototxt")
    assert not PREFIX.search(text)
    assert re.search(r"tiny 100%\|.*4/4 .*loss \S+, lr 0.01, \d+ images/s", text)
    assert re.search(r"iteration 4: test loss = [\d.]+\r\n", text)
    assert "iteration 2: snapshot tiny_iter_2.solverstate" in text


@pytest.mark.slow
@posix
def test_a_terminal_gets_what_is_asked_for(folder):
    """-v: log lines, as without a terminal; -q: neither lines nor bars."""
    verbose = on_a_terminal("train", "-solver=solver.prototxt", "-v")
    assert "%|" not in verbose and "] Iteration 4, loss = " in verbose
    assert on_a_terminal("train", "-solver=solver.prototxt", "-q") == ""
    timed = on_a_terminal("time", "-model=net.prototxt", "-iterations=2", "-q")
    assert "%|" not in timed and timed.startswith("layer")
    assert re.search(
        r"timing 100%\|.*2/2", on_a_terminal("time", "-model=net.prototxt", "-iterations=2")
    )


@pytest.mark.slow
def test_quiet_leaves_warnings(folder):
    code, _, err = caffelite_run("train", "-solver=solver.prototxt", "-quiet", "-gpu=0")
    assert (code, err) == (0, "-gpu 0: there is no GPU support here, running on the CPU\n")


@pytest.mark.slow
def test_verbose_tells_of_commands_that_say_nothing_else(folder):
    assert caffelite_run("summary", "net.prototxt")[2] == ""
    assert "Creating Layer ip" in caffelite_run("summary", "net.prototxt", "-v")[2]
    code, _, err = caffelite_run("summary", "net.prototxt", "-v", "-q")
    assert code == 2 and "not allowed with" in err


# test and time


def test_test_prints_means(folder, capsys):
    assert main(["train", "-solver=solver.prototxt", "-iterations=2"]) == 0
    capsys.readouterr()
    words = ["-model=net.prototxt", "-weights=tiny_iter_2.caffemodel", "-iterations=3"]
    assert main(["test", *words, "-stage=more"]) == 0
    out, err = capsys.readouterr()
    messages = log_of(err)
    batches = [float(has(messages, f"Batch {i}, loss = #")[0].split()[-1]) for i in range(3)]
    mean = sum(batches) / 3
    (line,) = has(messages, "loss = # (* 2 = # loss)")
    assert float(line.split()[2]) == pytest.approx(mean, rel=1e-4)
    assert float(line.split()[6]) == pytest.approx(2 * mean, rel=1e-4)
    (loss,) = has(messages, "Loss: #")
    assert float(loss.split()[1]) == pytest.approx(2 * mean, rel=1e-4)
    names = [line.partition(" = ")[0] for line in out.splitlines()]
    assert names == ["loss", *(f"norm[{i}]" for i in range(8))]
    assert len(has(messages, "Batch 1, norm = #")) == len(has(messages, "norm = #")) == 8
    assert float(out.split()[2]) == pytest.approx(mean, rel=1e-4)


def test_test_prints_json(folder, capsys):
    assert main(["train", "-solver=solver.prototxt", "-iterations=2"]) == 0
    Path("net.prototxt").write_text(
        NET.partition('layer { name: "loss"')[0]
        + 'layer { name: "z" type: "Silence" bottom: "x" include { phase: TEST } }'
    )
    capsys.readouterr()
    words = ["-model=net.prototxt", "-weights=tiny_iter_2.caffemodel", "-iterations=3"]
    assert main(["test", *words, "-json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["iterations"] == 3 and report["loss"] == 0
    assert sorted(report["outputs"]) == ["t", "y"] and report["outputs"]["t"] == [[1, 1]] * 4


def test_time_logs_each_layer(folder, capsys):
    assert main(["time", "-model=net.prototxt", "-iterations=2", "-phase=TEST"]) == 0
    out, err = capsys.readouterr()
    messages = log_of(err)
    begin, end = (
        messages.index("*** Benchmark begins ***"),
        messages.index("*** Benchmark ends ***"),
    )
    assert "Performing Backward" in messages[:begin]
    lines = messages[begin + 1 : end]
    for pattern in (
        "Testing for 2 iterations.",
        "Iteration: 1 forward-backward time: # ms.",
        "Iteration: 2 forward-backward time: # ms.",
        "Average time per layer: ",
        "      data\tforward: # ms.",
        "      data\tbackward: # ms.",
        "        ip\tforward: # ms.",
        "        ip\tbackward: # ms.",
        "      loss\tforward: # ms.",
        "      loss\tbackward: # ms.",
        "Average Forward pass: # ms.",
        "Average Backward pass: # ms.",
        "Average Forward-Backward: # ms.",
        "Total Time: # ms.",
    ):
        assert has(lines[:1], pattern), pattern
        lines.pop(0)
    assert not lines
    assert [row.split()[0] for row in out.splitlines()[2:5]] == ["data", "ip", "loss"]


def test_time_prints_json(folder, capsys):
    assert main(["time", "-model=net.prototxt", "-iterations=1", "-json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [layer["name"] for layer in report["layers"]] == ["data", "ip", "loss"]
    assert report["forward_ms"] == sum(layer["forward_ms"] for layer in report["layers"])
    assert report["phase"] == "TRAIN" and report["iterations"] == 1


def test_time_leaves_out_what_training_leaves_out(folder, capsys, monkeypatch):
    """Of a layer that is frozen, backward reads what its forward did not keep."""
    ran = []
    for layer_type in ("Scale", "InnerProduct"):
        backward = layer_types()[layer_type].backward
        monkeypatch.setattr(
            layer_types()[layer_type],
            "backward",
            lambda self, *blobs, run=backward: ran.append(self.name) or run(self, *blobs),
        )
    Path("frozen.prototxt").write_text(
        """
        layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [2, 3, 4, 4] } } }
        layer { name: "scale" type: "Scale" bottom: "x" top: "x" param { lr_mult: 0 } }
        layer {
          name: "ip" type: "InnerProduct" bottom: "x" top: "y"
          inner_product_param { num_output: 2 }
        }
        layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "y" top: "loss" }
        """
    )
    assert main(["time", "-model=frozen.prototxt", "-iterations=1"]) == 0
    assert set(ran) == {"ip"}


# layers


def test_layers_as_json(capsys):
    assert main(["layers", "ELU", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out).values()
    assert (told["folder"], told["options"]) == ("activation", "elu_param")
    assert told["fields"] == {"alpha": "float [1]"} and "Bottom" in told["about"]
    assert main(["layers", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["Silence"]["fields"] == {}


def test_the_catalogue_lists_every_type(capsys):
    from caffelite.layers import layer_types

    assert main(["layers"]) == 0
    out = capsys.readouterr().out
    for name in layer_types():
        assert re.search(rf"^  {name} +\S", out, re.M), name
    assert re.search(r"^activation: \w+", out, re.M)


def test_the_catalogue_as_a_table(capsys):
    assert main(["layers", "--markdown"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[1] == "|---|---|---|"
    assert r"| activation | AbsVal | y = \|x\|. |" in out
    assert main(["layers", "AbsVal", "--markdown"]) == 2


def test_all_about_one_type(capsys):
    assert main(["layers", "InnerProduct"]) == 0
    out = capsys.readouterr().out
    assert "y = x W' + b" in out and "Options (inner_product_param)" in out
    assert re.search(r"^  axis: +integer \[1\]$", out, re.M)
    assert re.search(r"^  bias_term: +bool \[true\]$", out, re.M)
    assert re.search(r"^  weight_filler: +FillerParameter \{ \.\.\. \}$", out, re.M)


@pytest.mark.slow
def test_threads_are_those_asked_for(folder):
    code = (
        "import sys; from caffelite.cli import main; code = main(sys.argv[1:]);"
        "import numba; print(numba.get_num_threads()); sys.exit(code)"
    )
    words = ["time", "-model=net.prototxt", "-iterations=1", "-threads=3"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "3"


def test_no_threads_are_refused(folder, capsys):
    assert main(["time", "-model=net.prototxt", "-threads=0"]) == 2
    assert "--threads: expected at least 1, not 0" in capsys.readouterr().err


def test_a_python_layer_may_lie_beside_the_net(folder):
    Path("doubling.py").write_text(
        "import caffe\n"
        "class Double(caffe.Layer):\n"
        "    def reshape(self, bottom, top):\n"
        "        top[0].reshape(*bottom[0].shape)\n"
        "    def forward(self, bottom, top):\n"
        "        top[0].data[...] = 2 * bottom[0].data\n"
    )
    Path("python.prototxt").write_text(
        'layer { name: "x" type: "DummyData" top: "x" dummy_data_param {'
        " shape { dim: 1 } data_filler { value: 3 } } }\n"
        'layer { name: "y" type: "Python" bottom: "x" top: "y"'
        ' python_param { module: "doubling" layer: "Double" } }\n'
    )
    Path("none.caffemodel").write_bytes(caffe_pb2.NetParameter(layer=[{}]).SerializeToString())
    command = [Path(sys.executable).with_name("caffelite"), "test", "--model", "python.prototxt"]
    command += ["--weights", "none.caffemodel", "--iterations", "1"]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 1 and "--allow-python doubling" in refused.stderr
    done = subprocess.run([*command, "-allow-python", "doubling"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "y = 6\n"), done.stderr


SCRIPT = """
import sys
import caffe
import caffe.io
from caffe import layers as L, params as P
from caffe.proto import caffe_pb2
from beside import net

caffe.get_solver("solver.prototxt").step(1)
print(__name__, sys.argv, caffe.io.__name__, net(L).to_proto().layer[0].type)
sys.exit(4)
"""


@pytest.mark.slow
def test_a_script_of_pycaffe_runs_as_it_is(folder):
    (folder / "old").mkdir()
    Path("old/script.py").write_text(SCRIPT)
    Path("old/beside.py").write_text("def net(L):\n    return L.Input()\n")
    done = caffelite_process("run", "old/script.py", "-model_def", "a b", "--gpu")
    out, err = done.communicate()
    words = "__main__ ['old/script.py', '-model_def', 'a b', '--gpu'] caffelite.pycaffe.io Input\n"
    assert (done.returncode, out) == (4, words), err
    assert re.search(r"^I\d{4} .*\] Iteration 0 \(.* iter/s, .*\), loss = ", err, re.MULTILINE)


@pytest.mark.parametrize(
    "words, script, code, message",
    [
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [
                ([], "", 2, "SCRIPT is missing"),
                (["none.py"], "", 1, "none.py: cannot be read: No such file"),
                (["script.py"], "print(`1`)", 1, "script.py:1: this is Python 2"),
            ]
        ),
        (["script.py"], "import caffe\ncaffe.Net('none.prototxt', 0)", 1, "none.prototxt: no such"),
    ],
)
def test_mistakes_of_a_script_are_named(folder, words, script, code, message):
    Path("script.py").write_text(script)
    done = caffelite_process("run", *words)
    _, err = done.communicate()
    assert done.returncode == code and message in err


def test_another_caffe_is_left_alone():
    code = "import sys, types; sys.modules['caffe'] = types.ModuleType('caffe'); import caffelite\n"
    code += "try: caffelite.install_as_caffe()\nexcept caffelite.CaffeliteError as e: print(e)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.startswith("another caffe is imported already")
