"""models/*-digits for the class of each pixel: they learn, and go on exactly from a snapshot."""

from pathlib import Path

import numpy as np
import pytest

import caffelite
from caffelite.data.annotated import annotated
from caffelite.data.boxes import Boxes
from caffelite.data.datum import from_pixels
from caffelite.data.lmdb import LmdbWriter
from caffelite.proto.text import read_net, read_solver

ROOT = Path(__file__).parent.parent
FCN = ["fcn-32s-digits", "fcn-16s-digits", "fcn-8s-digits"]
OTHERS = ["unet-digits", "segnet-digits", "psp-digits"]
PICTURES = 4


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Databases of pictures of noise with two rectangles in the color of their class; of labels."""
    folder, random = tmp_path_factory.mktemp("scenes"), np.random.default_rng(0)
    colors = random.integers(0, 256, (11, 3, 1, 1))
    with LmdbWriter(folder / "data") as data, LmdbWriter(folder / "label") as label:
        for i in range(PICTURES):
            pixels = random.integers(100, 156, (3, 128, 128)).astype(np.uint8)
            classes = np.zeros((1, 128, 128), np.uint8)
            for number in range(2):
                left, top = random.integers(0, 16, 2) + 64 * number
                place = np.s_[:, top : top + 40, left : left + 40]
                classes[place] = 1 + random.integers(10)
                pixels[place] = colors[classes[0, top, left]]
            key, boxes = b"%08d" % i, Boxes([])
            data.put(key, annotated(from_pixels(pixels, 0), boxes).SerializeToString())
            label.put(key, from_pixels(classes, 0).SerializeToString())
    return folder


def solver_of(name, scenes, folder, batch_size=2, iterations=4, **changed):
    """The net's own solver on these scenes as they are, from its first step at full rate."""
    net = read_net(ROOT / "models" / name / "train_val.prototxt")
    for layer in net.layer:
        if layer.HasField("data_param"):
            layer.data_param.source = str(scenes / "data")
            layer.data_param.label_source = str(scenes / "label")
            layer.data_param.batch_size = batch_size
            layer.annotated_data_param.ClearField("batch_sampler")
            for field in ("distort_param", "expand_param", "emit_constraint"):
                layer.transform_param.ClearField(field)
    param = read_solver(str(ROOT / "solvers" / f"{name}.prototxt"))
    param.ClearField("net")
    param.net_param.CopyFrom(net)
    param.snapshot_prefix, param.max_iter = str(folder / "snapshot"), iterations
    param.test_iter[:] = [1]
    param.test_interval = iterations + 1
    for field in ("warmup_iter", "display"):
        param.ClearField(field)
    for field, value in changed.items():
        setattr(param, field, value)
    return caffelite.get_solver(param)


def weights(solver):
    return [blob.data.copy() for blobs in solver.net.params.values() for blob in blobs]


@pytest.mark.parametrize(
    "name", ["fcn-8s-digits", *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)]
)
def test_a_training_goes_on_exactly_from_a_snapshot(name, scenes, tmp_path):
    whole = solver_of(name, scenes, tmp_path)
    whole.step(1)
    whole.snapshot()
    between = weights(whole)
    whole.step(1)
    resumed = solver_of(name, scenes, tmp_path)
    resumed.restore(str(tmp_path / "snapshot_iter_1.solverstate"))
    resumed.step(1)
    for a, b in zip(weights(whole), weights(resumed), strict=True):
        assert a.tobytes() == b.tobytes()
    moved = [a.tobytes() != b.tobytes() for a, b in zip(weights(whole), between, strict=True)]
    fixed = sum("upscore" in layer for layer in whole.net.params)
    assert moved.count(False) == fixed, "bilinear kernels stay, and nothing else does"
    for blob in ("data", "label"):
        one, other = (solver.net.blobs[blob].data for solver in (whole, resumed))
        assert one.tobytes() == other.tobytes()


def test_a_finer_net_begins_with_the_scores_of_the_coarser(scenes, tmp_path):
    """... enlarged, but where kernels reach beyond the border: those of its finer map are 0."""
    coarse, fine = (solver_of(name, scenes, tmp_path) for name in FCN[1:])
    coarse.step(1)
    coarse.net.save(str(tmp_path / "coarse.caffemodel"))
    fine.net.copy_from(str(tmp_path / "coarse.caffemodel"))
    for net in (fine.net, fine.net, coarse.net):  # both have seen the second batch last
        net.forward()
    a, b = coarse.net.blobs["fuse16"].data, fine.net.blobs["fuse8"].data
    inner = b[:, :, 1:-1, 1:-1].reshape(*b.shape[:2], 7, 2, 7, 2).mean(axis=(3, 5))
    corners = (a[:, :, :-1, :-1] + a[:, :, 1:, :-1] + a[:, :, :-1, 1:] + a[:, :, 1:, 1:]) / 4
    assert np.abs(inner).max() > 0
    np.testing.assert_allclose(inner, corners, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "iterations"),
    [
        pytest.param("fcn-8s-digits", 50, marks=pytest.mark.slow),
        pytest.param("unet-digits", 50, marks=pytest.mark.long),
        pytest.param("psp-digits", 50, marks=pytest.mark.long),
        pytest.param("segnet-digits", 200, marks=pytest.mark.long),
    ],
)
def test_a_net_tells_what_it_has_seen(name, iterations, scenes, tmp_path):
    adam = {"type": "Adam", "base_lr": 0.003, "momentum": 0.9}  # learns few pictures faster
    solver = solver_of(name, scenes, tmp_path, PICTURES, iterations, **adam)
    solver.step(iterations)
    (found,) = (value for name, value in solver.test().items() if name.endswith("mean_iu"))
    assert found > 0.6
