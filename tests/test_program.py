"""Caffe's programs: `caffe` itself, those of 2014, and links to all where scripts call them."""

import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest

from caffelite import cli
from caffelite.cli import _program, links, main

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("words", "called"),
    [
        ("train -solver s.prototxt", "train --verbose -solver s.prototxt"),
        ("-solver=s.prototxt --gpu=all train", "train --verbose -solver=s.prototxt --gpu=all"),
        ("train --solver s --weights a,b", "train --verbose --solver s --weights a,b"),
        ("train --resume --solver s -q", "train --resume --solver s -q"),
        ("test -model m -weights w", "test --verbose -model m -weights w --iterations 50"),
        ("test -model m -iterations 3", "test --verbose -model m -iterations 3"),
        ("time -model m -gpu 0 -phase TEST", "time --verbose -model m -gpu 0 -phase TEST"),
        ("train -solver s -logtostderr=1 -v 2 -alsologtostderr", "train --verbose -solver s"),
        ("draw net.prototxt", "draw net.prototxt"),
    ],
)
def test_caffe_is_called_as_the_binary_is(words, called):
    assert _program.words_of("caffe", words.split()) == called.split()


def test_flags_that_an_action_does_not_look_at_are_passed_over(capsys):
    words = "train -solver s -iterations 5 -model m -log_dir logs"
    assert _program.words_of("caffe", words.split()) == "train --verbose -solver s".split()
    err = capsys.readouterr().err
    for flag in ("-iterations", "-model", "-log_dir"):
        assert f"passing over {flag}" in err


def test_the_least_level_of_log_lines_may_be_a_flag(monkeypatch):
    monkeypatch.setenv("GLOG_minloglevel", "0")
    _program.words_of("caffe", "time -model m -minloglevel=2".split())
    assert os.environ["GLOG_minloglevel"] == "2"


@pytest.mark.parametrize(
    ("words", "said"), [([], "usage: caffe ACTION"), (["-version"], "caffe version 1.0.0")]
)
def test_caffe_tells_of_itself(words, said, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/caffe", *words])
    assert cli.tool() == 0
    assert said in "".join(capsys.readouterr())


def test_caffe_is_a_program():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    programs = setup["options.entry_points"]["console_scripts"].split("\n")
    assert "caffe = caffelite.cli:tool" in programs


NET = """
layer { name: "x" type: "DummyData" top: "x" dummy_data_param {
  shape { dim: 1 dim: 1 } data_filler { value: 3 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 1 } }
"""


def test_caffe_tests_50_batches(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(NET)
    words = ["test", "-model", "net.prototxt", "--allow_missing"]
    monkeypatch.setattr(sys, "argv", ["build/tools/caffe.bin", *words])
    assert cli.tool() == 0
    assert "Running for 50 iterations." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("program", "words", "called"),
    [
        ("train_net", "s.prototxt", "train --solver s.prototxt"),
        ("train_net", "s a.solverstate", "train --solver s --snapshot a.solverstate"),
        ("finetune_net", "s.prototxt w", "train --solver s.prototxt --weights w"),
        ("test_net", "n w 100 GPU", "test --model n --weights w --iterations 100"),
        ("net_speed_benchmark", "n.prototxt 5", "time --model n.prototxt --iterations 5"),
        ("upgrade_net_proto_text", "a b", "upgrade a b"),
        ("convert_imageset", "a/ b c", "convert_imageset a/ b c"),
    ],
)
def test_programs_of_2014(program, words, called):
    assert _program.words_of(program, words.split()) == called.split()


def test_links_are_where_scripts_call_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "installed"
    program.write_text(f"#!{sys.executable}\nimport sys\nprint(sys.argv[0])\n")
    program.chmod(0o755)
    monkeypatch.setattr(links, "_installed", lambda name: str(program))
    os.makedirs("build/tools")
    Path("build/tools/caffe").write_text("Caffe's own")
    assert main(["links", "build/tools"]) == 0
    assert "build/tools/caffe: is there already" in capsys.readouterr().err
    assert Path("build/tools/caffe").read_text() == "Caffe's own"
    for name in ("caffe.bin", "convert_imageset", "train_net.bin", "compute_image_mean.bin"):
        done = subprocess.run([f"build/tools/{name}"], capture_output=True, text=True, check=True)
        assert done.stdout == f"build/tools/{name}\n"
    assert main(["links", "build/tools"]) == 0, "again"


def test_programs_that_are_not_installed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(links.shutil, "which", lambda *_, **__: None)
    assert main(["links", str(tmp_path / "tools")]) == 1
    assert "is not installed" in capsys.readouterr().err and not (tmp_path / "tools").exists()
