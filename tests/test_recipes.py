"""The recipes that train on real digits: each learns a few made-up ones in a few steps."""

import re
from pathlib import Path

import numpy as np
import pytest

import caffelite
from caffelite.data.arrays import ArraySource
from caffelite.data.datum import write_database
from caffelite.models.program import program
from caffelite.net.passes import filter_layers
from caffelite.proto.caffe_pb2 import NetState
from caffelite.proto.text import read_net, read_solver

from .families import one_of_each

ROOT = Path(__file__).parent.parent
SHORT = sorted((ROOT / "models").glob("*/digits_solver.prototxt"))
OWN = [ROOT / "solvers" / f"{name}.prototxt" for name in ("lenet", "mlp")]
SIDES = {"digits": 8, "mnist": 28, "padded": 32}
STEPS = {"nin-cifar": 30}  # which has no BatchNorm
TESTS = {  # samples for testing
    "digits": 360,
    "mnist": 1000,
    "cifar10": 10_000,
    "ilsvrc12": 50_000,
    "faces": 1136,
    "faces_real": 1000,
    "faces_identity": 10_575,
    "distorted": 2000,
    "moving": 800,  # clips
    "scenes_test_outlines": 500,
    "scenes_test_ink": 500,
    "text": 1150,  # steps of streams, with Python 3.11
    "words": 350,
    "photographs": 1,
    "captions/words": 2000,  # sentences
    "questions/words": 12_000,
    "number": 2000,
    "number_test_digits": 2000,
    "test": 1000,  # of one's own pictures
}


def sources(net):
    """{phase: data_param}, and which digits these are."""
    found = {
        layer.include[0].phase: layer.data_param for layer in net.layer if layer.data_param.source
    }
    part = Path(found[0].source)
    return found, part.parent.name if part.parent.name in SIDES else part.name.partition("_")[0]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").symlink_to(ROOT / "models")


def by_depth():
    """The recipes; those of nets of many layers, or steps, are slow tests."""
    for path in [*SHORT, *OWN]:
        net = path.parent / "deploy.prototxt"
        slow = STEPS.get(path.parent.name) or (net.exists() and len(read_net(net).layer) > 30)
        yield pytest.param(path, marks=pytest.mark.slow if slow else [])


@pytest.mark.parametrize("path", [*by_depth()], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_loss_falls(path, here):
    solver = read_solver(path)
    net = read_net(solver.net)
    data, kind = sources(net)
    random = np.random.default_rng(0)
    side = SIDES[kind]
    labels = random.integers(0, 4, 16)
    shapes = np.kron(random.integers(0, 2, (4, side // 4, side // 4)), np.ones((4, 4)))
    images = shapes[labels] * (16 if side == 8 else 255)
    for param in data.values():
        Path(param.source).parent.mkdir(parents=True, exist_ok=True)
        write_database(param.source, ArraySource(images.astype(np.uint8)[:, None], labels))
        param.batch_size = 16
    solver.ClearField("net")
    solver.net_param.CopyFrom(net)
    solver.test_initialization = False
    solver.snapshot_after_train = False
    trained = caffelite.get_solver(solver)
    (loss,) = (name for name, weight in trained.net.blob_loss_weights.items() if weight)
    losses = []
    for _ in range(STEPS.get(path.parent.name, 8)):
        trained.step(1)
        losses.append(trained.net.blobs[loss].data.item())
    assert max(losses[-2:]) < 0.9 * losses[0], losses


@pytest.mark.parametrize("path", SHORT, ids=lambda path: path.parent.name)
def test_a_recipe_trains_the_net_beside_it(path):
    assert (ROOT / read_solver(path).net).parent == path.parent


def solvers():
    """Those beside their nets, and those for one net of each family; the others are slow tests."""
    yield from SHORT
    for param in one_of_each(sorted(path.stem for path in ROOT.glob("solvers/*.prototxt"))):
        (name,) = param.values
        yield pytest.param(ROOT / "solvers" / f"{name}.prototxt", id=name, marks=param.marks)


@pytest.mark.parametrize("path", [*solvers()], ids=lambda path: path.parent.name)
def test_a_solver_tests_every_sample_once(path):
    solver = read_solver(path)
    if solver.player:
        assert not solver.test_iter  # they show samples instead
        return
    net = ROOT / solver.net
    param = read_net(net) if net.exists() else program(net.parent / "net.py").train_val()
    param.state.MergeFrom(solver.test_state[0] if solver.test_state else NetState())
    param.state.phase = caffelite.TEST
    for layer in filter_layers(param).layer:
        if layer.type == "Data":
            path = Path(layer.data_param.source)
            part = re.match(r"(\w+?)(_test|_val)?_lmdb", path.name)[1]
            count = TESTS.get(f"{path.parent.name}/{part}", TESTS[part])
            assert solver.test_iter[0] * layer.data_param.batch_size == count
        if layer.type == "HDF5Data":
            part = Path(layer.hdf5_data_param.source).name.partition("_")[0]
            assert solver.test_iter[0] * layer.hdf5_data_param.batch_size == TESTS[part]
