"""`caffelite find-lr`: rates that grow, a curve, a rate to begin with, and nothing left behind."""

import json
from pathlib import Path

import numpy as np
import pytest

from caffelite.cli import main
from caffelite.errors import SolverError
from caffelite.proto.text import read_solver
from caffelite.solver.rate_sweep import Sweep, sweep

NET = """
layer { name: "data" type: "DummyData" top: "x" top: "t"
        dummy_data_param { shape { dim: 8 dim: 3 } shape { dim: 8 dim: 2 }
                           data_filler { type: "gaussian" } data_filler { value: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y"
        inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }
"""
SOLVER = """
net: "net.prototxt" base_lr: 0.01 lr_policy: "multistep" stepvalue: 3 gamma: 0.1 momentum: 0.9
max_iter: 5 test_iter: 1 test_interval: 2 snapshot: 1 snapshot_prefix: "tiny" early_stop: 3
warmup_iter: 2 display: 1 min_lr: 0.001
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(NET)
    Path("solver.prototxt").write_text(SOLVER)
    return tmp_path


def found_by(capsys, *words):
    capsys.readouterr()
    assert main(["find-lr", "solver.prototxt", "--json", "-q", *words]) == 0
    return json.loads(capsys.readouterr().out)


def test_rates_grow_by_one_factor_until_the_loss_grows(folder, capsys):
    found = found_by(capsys, "--least", "1e-4", "--most", "100", "--iterations", "61")
    rates = np.array(found["rates"])
    np.testing.assert_allclose(rates, 1e-4 * 10 ** (np.arange(len(rates)) / 10), rtol=1e-4)
    assert found["diverged"] and len(rates) < 61
    best = int(np.argmin(found["smoothed"]))
    assert found["losses"][0] > found["smoothed"][best]
    assert found["suggested"] == pytest.approx(rates[best] / 10, rel=0.05)


def test_it_gives_the_same_numbers_again_and_leaves_nothing_behind(folder, capsys):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    first, again = (found_by(capsys, "--iterations", "40") for _ in range(2))
    assert first == again
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}
    other = found_by(capsys, "--iterations", "40", "--set", "random_seed=7")
    assert other["losses"] != first["losses"]


def test_weights_and_fields_can_be_given(folder, capsys):
    assert main(["train", "solver.prototxt", "-q"]) == 0
    fresh = found_by(capsys, "--iterations", "30")
    trained = found_by(capsys, "--iterations", "30", "--weights", "tiny_iter_5.caffemodel")
    assert trained["losses"][0] != fresh["losses"][0]
    frozen = found_by(
        capsys,
        *("--iterations", "30", "--set", "net.layer[ip].param[0].lr_mult=0"),
        *("--set", "net.layer[ip].param[1].lr_mult=0"),
    )
    assert not frozen["diverged"]


def test_the_text_names_the_rate_and_what_to_type(folder, capsys):
    assert main(["find-lr", "solver.prototxt", "--iterations", "60", "-q"]) == 0
    out = capsys.readouterr().out
    assert "over the power of 10 of the learning rate" in out and "│" in out
    suggested = out.partition("suggested: ")[2].partition(";")[0]
    assert "solver.prototxt has base_lr: 0.01\n" in out and float(suggested) > 0
    assert out.endswith(f"caffelite train solver.prototxt --set base_lr={suggested}\n")


def test_a_picture_is_made_if_asked_for(folder, capsys):
    pytest.importorskip("matplotlib")
    assert main(["find-lr", "solver.prototxt", "--iterations=30", "--out=rates.svg", "-q"]) == 0
    assert Path("rates.svg").read_bytes().startswith(b"<?xml")


def test_a_loss_that_never_falls_or_still_does_is_told(folder, capsys):
    words = ["find-lr", "solver.prototxt", "--iterations", "30", "-q"]
    assert main([*words, "--least", "3", "--most", "300"]) == 0
    assert "The loss falls at no rate from 3 on; a lower --least" in capsys.readouterr().out
    assert main([*words, "--least", "1e-4", "--most", "1e-2"]) == 0
    assert "It still falls at 0.01; a higher --most may show more." in capsys.readouterr().out


@pytest.mark.parametrize(
    "flags, told",
    [
        (["--least", "0"], "expected 0 < --least < --most, not 0 and 10"),
        (["--least", "2", "--most", "1"], "expected 0 < --least < --most"),
        (["--iterations", "5"], "--iterations: expected at least 20, not 5"),
        (["--out", "rates.txt"], "rates.txt: expected an ending of .svg, .png, .pdf"),
    ],
)
def test_mistakes(folder, flags, told, capsys):
    assert main(["find-lr", "solver.prototxt", *flags]) == 2
    assert told in capsys.readouterr().err


def test_a_sweep_that_cannot_be_is_refused(folder):
    with pytest.raises(SolverError, match="expected rates with 0 < least < most"):
        sweep(read_solver("solver.prototxt"), least=1, most=0.1)


def test_layers_that_write_files_write_none(folder):
    kept = 'layer { name: "keep" type: "HDF5Output" bottom: "y" bottom: "t" '
    Path("net.prototxt").write_text(NET + kept + 'hdf5_output_param { file_name: "kept.h5" } }')
    Path("kept.h5").write_text("of before")
    sweep(read_solver("solver.prototxt"), iterations=20)
    assert Path("kept.h5").read_text() == "of before"


def test_the_training_that_is_proposed_is_of_the_same_solver(folder, capsys):
    assert (
        main(["find-lr", "solver.prototxt", "-q", "--set", "momentum=0.5", "--stage", "a b"]) == 0
    )
    last = capsys.readouterr().out.splitlines()[-1]
    start = "caffelite train solver.prototxt --set momentum=0.5 --stage 'a b' --set base_lr="
    assert last.startswith(start)


@pytest.mark.parametrize("more", [[], ["--json"], ["--out", "rates.svg"]])
def test_a_loss_that_is_no_number_from_the_start_is_told(folder, more, capsys):
    Path("net.prototxt").write_text(NET.replace("value: 1 ", "value: 1e38 "))
    assert main(["find-lr", "solver.prototxt", *more]) == 1
    assert "the loss is inf in the first iteration" in capsys.readouterr().err
    assert not Path("rates.svg").exists()


def test_what_is_suggested_is_a_tenth_of_the_best():
    losses = [*np.linspace(3, 1, 21), *np.linspace(1.2, 4, 5)]
    rates = list(10 ** np.linspace(-4, 1, 26))
    assert Sweep(rates, losses, losses, True).suggested == pytest.approx(rates[20] / 10, rel=0.05)
    assert Sweep(rates[:3], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0], True).suggested is None
