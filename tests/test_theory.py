"""models/course/theory: truth tables of nets with given weights, and what nets can learn."""

import json
import math
from itertools import product
from pathlib import Path

import pytest

import caffelite
from caffelite.cli import main

ROOT = Path(__file__).parent.parent
THEORY = Path("models/course/theory")


@pytest.fixture(autouse=True)
def in_a_checkout(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize(
    "file, inputs, answers",
    [
        ("mcp", 3, {"fires": lambda a, b, c: (a or b) and not c}),
        (
            "and-or-not",
            2,
            {
                "and": lambda x, y: x and y,
                "or": lambda x, y: x or y,
                "not_X": lambda x, y: not x,
            },
        ),
        ("xor", 2, {"xor": lambda x, y: x != y}),
        (
            "boolean",
            4,
            {
                "boolean": lambda a, x, y, z: (
                    ((a and not x and z) or (a and not y)) and ((x and y) or not (x and z))
                )
            },
        ),
    ],
)
def test_truth_tables(file, inputs, answers, capsys):
    model = str(THEORY / f"{file}.prototxt")
    words = ["test", "--model", model, "--allow-missing", "--iterations", "1", "--json"]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)["outputs"]
    for name, truth in answers.items():
        rows = product((0, 1), repeat=inputs)
        assert [value for (value,) in found[name]] == [int(bool(truth(*row))) for row in rows]


def trained(name):
    """What the net says in a test after training, means over four batches."""
    solver = caffelite.get_solver(str(THEORY / f"{name}-solver.prototxt"))
    solver.step(solver.param.max_iter)
    net = solver.test_nets[0]
    net.share_with(solver.net)
    outputs = [{key: value.copy() for key, value in net.forward().items()} for _ in range(4)]
    return solver, {key: sum(output[key] for output in outputs) / 4 for key in outputs[0]}


def test_a_perceptron_fails_on_xor_and_an_mlp_learns_it():
    _, found = trained("learns-xor")
    assert found["loss_of_perceptron"] == pytest.approx(math.log(2), abs=1e-4)
    assert found["answer_of_perceptron"].ravel() == pytest.approx([0.5] * 4, abs=1e-3)
    assert found["answer_of_mlp"].ravel() == pytest.approx([0, 1, 1, 0], abs=0.02)


def test_other_coordinates_make_classes_separable():
    solver, found = trained("polar")
    assert found["accuracy_by_polar"] == found["accuracy_by_squares"] == 1
    assert found["accuracy_by_cartesian"] < 0.75 and found["accuracy_by_stretched"] < 0.75
    inside, outside = solver.net.params["by_squares"][0].data
    x, y = outside - inside
    assert 3 < y / x < 5  # 1 / b^2 to 1 / a^2
