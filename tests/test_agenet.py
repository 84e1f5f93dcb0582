"""AgeNet: its labels, its measures, the fusion of its nets."""

import numpy as np
import pytest
from PIL import Image

import caffelite
from caffelite.models import agenet
from caffelite.proto.caffe_pb2 import TRAIN
from tools import benchmark

AGES, DEVIATIONS = np.array([20.0, 40, 63]), np.array([3.99, 2.0, 5.1])


def test_measures_by_hand():
    off = np.array([0, 2, -4])
    epsilon = (0 + (1 - np.exp(-0.5)) + (1 - np.exp(-8 / 5.1**2))) / 3
    assert agenet.mean_normalized_error(AGES, DEVIATIONS, AGES + off) == pytest.approx(epsilon)
    assert agenet.mean_absolute_error(AGES, AGES + off) == pytest.approx(2)
    assert agenet.mean_normalized_error(AGES, DEVIATIONS, AGES) == 0
    assert agenet.mean_normalized_error(AGES, DEVIATIONS, AGES + 1000) == 1


def test_the_report_has_each_model_and_their_fusion():
    lines = [*agenet.report(AGES, DEVIATIONS, {"a": AGES + 2, "b": AGES - 2})]
    assert [line.split()[0] for line in lines] == ["model", "a", "b", "fusion"]
    assert lines[1].split()[2] == "2.0000" and lines[3].split()[1:] == ["0.0000", "0.0000"]
    assert len([*agenet.report(AGES, DEVIATIONS, {"a": AGES})]) == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a.png 20\n", "faces.txt:1: expected"),
        ("a.png 20 3\nb.png 20 0\n", "faces.txt:2: expected"),
        ("a.png nan 3\n", "faces.txt:1: expected"),
        ("a.png 20 3\n\n", "faces.txt:2: expected"),
        ("", "names no faces"),
        (None, "cannot be read"),
    ],
)
def test_lists_that_cannot_be_used(tmp_path, capsys, text, problem):
    path = tmp_path / "faces.txt"
    if text is not None:
        path.write_text(text)
    assert agenet.main([str(path), "--regressor", "missing.caffemodel"]) == 1
    assert problem in capsys.readouterr().err


def test_labels_are_gaussians_around_the_age():
    """By what the loss has seen as its second distribution, and how far it is from scores of 0."""
    param = benchmark.in_memory("agenet-classifier", TRAIN, 2)
    wanted = {"years", "years_off", "square", "log_label", "label", "data"}
    layers = [layer for layer in param.layer if layer.name in wanted]
    del param.layer[:]
    param.layer.extend(layers)
    net = caffelite.Net(param, TRAIN)
    net.blobs["label"].data[...] = [25, 60]
    net.forward()
    q = np.exp(net.blobs["log_label"].data)
    years = np.arange(101)
    for row, age in zip(q, (25, 60), strict=True):
        assert np.allclose(row, np.exp(-((years - age) ** 2) / 8), atol=1e-6)


@pytest.mark.slow
def test_two_models_answer_for_a_list_of_pictures(tmp_path, capsys):
    names = []
    for kind in ("regressor", "classifier"):
        net = caffelite.Net(benchmark.in_memory(f"agenet-{kind}", TRAIN, 1), TRAIN)
        names.append(str(tmp_path / f"{kind}.caffemodel"))
        net.save(names[-1])
    for i in range(2):
        pixels = np.random.default_rng(i).integers(0, 256, (260, 240, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"face {i}.png")
    faces = tmp_path / "faces.txt"
    faces.write_text("face 0.png 20 4\nface 1.png 50 3\n")
    assert agenet.main([str(faces), "--regressor", names[0], "--classifier", names[1]]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows[1:]] == [*names, "fusion"]
    errors = np.array([row[1:] for row in rows[1:]], float)
    assert np.isfinite(errors).all() and (errors[:, 0] <= 1).all()
    assert 0 < errors[1, 1] < 100  # the mean of the years is one of them
