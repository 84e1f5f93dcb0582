"""Nets, solvers and data layers against the arrays of tests/golden (see its README)."""

from pathlib import Path

import numpy as np
import pytest

import caffelite

GOLDEN = Path(__file__).parent / "golden"
CAFFE, FORKS = GOLDEN / "caffe", GOLDEN / "detection"
TOLERANCE = 1e-4  # in units of the recorded array's largest magnitude, at least 1
TRAINED = 20 * TOLERANCE  # after 30 iterations
NOISE = {"Adam": {"conv/1", "bn/0"}}
"""Blobs that are not compared after a rule. In the recorded net a bias stands before BatchNorm: its
gradient is rounding and nothing else, and rules that divide by its size make whole steps of it."""
HORIZON = {"AdaGrad": 12}
"""Iterations after which such a rule has spread that over the net, so that losses agree to 10 %."""


def cases(*folders):
    """Every prototxt below the folders that has recorded arrays, one parameter each."""
    found = [
        (p, str(p.relative_to(folder).with_suffix("")))
        for folder in folders
        for p in sorted(folder.rglob("*.prototxt"))
        if p.with_suffix(".npz").exists()
    ]
    return pytest.mark.parametrize(
        "prototxt", [p for p, _ in found], ids=[name for _, name in found]
    )


def assert_near(got, want, what, tolerance=TOLERANCE):
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    scale = max(1, abs(want).max(initial=0))
    np.testing.assert_allclose(got / scale, want / scale, 0, tolerance, err_msg=what, strict=True)


def part(recorded, kind):
    """{the rest of the name: array} of the arrays named KIND/..."""
    names = [name for name in recorded.files if name.startswith(kind + "/")]
    return {name[len(kind) + 1 :]: recorded[name] for name in names}


def param(net, name):
    layer, index = name.rsplit("/", 1)
    return net.params[layer][int(index)]


@cases(CAFFE / "layers", FORKS)
def test_a_net_computes_what_caffe_computed(prototxt):
    recorded = np.load(prototxt.with_suffix(".npz"))
    net = caffelite.Net(str(prototxt), getattr(caffelite, str(recorded["phase"])))
    for name, values in part(recorded, "in").items():
        net.blobs[name].data[...] = values
    for name, values in part(recorded, "param").items():
        param(net, name).data[...] = values
    net.forward()
    for name, want in part(recorded, "out").items():
        assert_near(net.blobs[name].data, want, f"data of {name}")
    for name, want in part(recorded, "param_after").items():
        assert_near(param(net, name).data, want, f"blob {name}")
    if not part(recorded, "din") and not part(recorded, "dparam"):
        return
    net.clear_param_diffs()
    for name, values in part(recorded, "topdiff").items():
        net.blobs[name].diff[...] = values
    net.backward()
    for name, want in part(recorded, "din").items():
        assert_near(net.blobs[name].diff, want, f"diff of {name}")
    for name, want in part(recorded, "dparam").items():
        assert_near(param(net, name).diff, want, f"diff of blob {name}")


def horizon(solver, recorded):
    return HORIZON.get(solver.type, len(recorded["loss"]))


def assert_trained(solver, recorded):
    if solver.type not in HORIZON:
        for name, want in part(recorded, "param").items():
            if name not in NOISE.get(solver.type, ()):
                assert_near(param(solver.net, name).data, want, f"blob {name}", TRAINED)


@cases(CAFFE / "solvers")
def test_training_follows_caffe(prototxt, monkeypatch):
    recorded = np.load(prototxt.with_suffix(".npz"))
    monkeypatch.chdir(prototxt.parent)
    solver = caffelite.get_solver(prototxt.name)
    solver.net.copy_from("init.caffemodel")
    for iteration, want in enumerate(recorded["loss"]):
        solver.step(1)
        loss, comparable = solver.net.blobs["loss"].data, iteration < horizon(solver, recorded)
        assert_near(loss, want, f"loss at iteration {iteration}", TRAINED if comparable else 0.1)
    assert_trained(solver, recorded)


@cases(CAFFE / "solvers")
def test_training_goes_on_from_a_state_that_caffe_wrote(prototxt, monkeypatch):
    state = Path(f"{prototxt.stem}_iter_15.solverstate")
    if not prototxt.with_name(state.name).exists():
        pytest.skip("no state recorded")
    recorded = np.load(prototxt.with_suffix(".npz"))
    monkeypatch.chdir(prototxt.parent)
    solver = caffelite.get_solver(prototxt.name)
    solver.restore(str(state))
    assert solver.iter == 15
    for _ in range(15):  # a state of Caffe's does not say how far the data was read
        solver.net.forward(end="data")
    solver.step(len(recorded["loss"]) - 15)
    assert_trained(solver, recorded)


@cases(CAFFE / "data")
def test_data_layers_read_what_caffe_read(prototxt, monkeypatch):
    recorded = np.load(prototxt.with_suffix(".npz"))
    monkeypatch.chdir(prototxt.parent)
    net = caffelite.Net(prototxt.name, caffelite.TEST)
    for batch in range(3):
        net.forward()
        for name, want in part(recorded, f"out/{batch}").items():
            assert_near(net.blobs[name].data, want, f"{name} of batch {batch}")
    net.close()
