"""Snapshots: whole pairs of a model and its state, or an error that says what is wrong."""

import os
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

import caffelite
from caffelite.cli import main
from caffelite.errors import CaffeliteError
from caffelite.proto import caffe_pb2

NET = """
layer { name: "data" type: "DummyData" top: "x" top: "t" dummy_data_param {
  shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 } data_filler { type: "gaussian" } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "drop" type: "Dropout" bottom: "y" top: "y" }
layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }
"""
FORMS = pytest.mark.parametrize("ending", ["", ".h5"])


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    pytest.importorskip("h5py")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def param(ending="", text=""):
    form = "HDF5" if ending else "BINARYPROTO"
    defaults = f"""
        base_lr: 0.1 lr_policy: "fixed" momentum: 0.9 max_iter: 6 random_seed: 3
        snapshot_prefix: "s" snapshot_format: {form} net_param {{ {NET} }}
    """
    solver = text_format.Parse(defaults, caffe_pb2.SolverParameter())
    return text_format.Merge(text, solver)


def solver(ending="", text=""):
    return caffelite.get_solver(param(ending, text))


def trained(steps, ending="", text=""):
    made = solver(ending, text)
    made.step(steps)
    return made


def all_of(one):
    """Everything of a solver that a restore changes."""
    blobs = [entry.blob.data.copy() for entry in one.net.learnable]
    histories = [past.copy() for history in one.history for past in history.values()]
    positions = [layer.position for layer in one.net.layers]
    return blobs, histories, positions, one.seed, one.iter, one.current_step


def refused(path, message, **more):
    """Check that restoring fails, with the message, and leaves a solver as it was."""
    other = trained(1, text="random_seed: 8")
    before = all_of(other)
    with pytest.raises(CaffeliteError, match=message):
        other.restore(path, **more)
    np.testing.assert_equal(all_of(other), before)


# A state and its model


@FORMS
def test_a_model_of_another_run_is_refused(ending, caplog):
    """As after a kill, when a run has written its model over that of the run before."""
    trained(2, ending).snapshot()
    (trained(2, ending, "random_seed: 7").net.save_hdf5 if ending else
     trained(2, ending, "random_seed: 7").net.save)(f"s_iter_2.caffemodel{ending}")  # fmt: skip
    state = f"s_iter_2.solverstate{ending}"
    refused(state, f"caffemodel{ending}: holds other weights than {state} was written with")
    other = solver()
    other.restore(state, allow_other_weights=True)
    assert other.iter == 2 and "going on with these weights" in caplog.text


@FORMS
def test_a_state_looks_beside_itself_first(ending):
    os.mkdir("a")
    one = trained(2, ending)
    _, state = one.snapshot()
    for kind in ("caffemodel", "solverstate"):
        os.rename(f"s_iter_2.{kind}{ending}", f"a/s_iter_2.{kind}{ending}")
    trained(2, ending, "random_seed: 7").snapshot()  # where the state says that its model is
    other = solver()
    other.restore(f"a/{state}")
    np.testing.assert_equal(all_of(other), all_of(one))
    os.remove(f"a/s_iter_2.caffemodel{ending}")
    refused(f"a/{state}", f"s_iter_2.caffemodel{ending}: holds other weights than a/{state}")


def test_states_of_caffe_load_as_before(caplog):
    os.mkdir("a")
    one = trained(2)
    model, path = one.snapshot()
    state = caffe_pb2.SolverState.FromString(Path(path).read_bytes())
    caffe = caffe_pb2.SolverState(iter=2, learned_net=model, history=state.history)
    Path("a", path).write_bytes(caffe.SerializeToString())
    caplog.clear()
    other = solver()
    other.restore(f"a/{path}")
    np.testing.assert_equal(all_of(other)[:2], all_of(one)[:2])
    assert not [r for r in caplog.records if r.levelname == "WARNING"]
    trained(2, text="random_seed: 7").net.save(f"a/{model}")
    other = solver()
    other.restore(f"a/{path}")
    np.testing.assert_equal(all_of(other)[:2], all_of(one)[:2])
    assert f"a/{path} names {model}, which is taken, as in Caffe, and not a/{model}" in caplog.text


def test_changed_weights_are_gone_on_with_when_that_is_meant(caplog):
    """By a program that keeps fields it does not know, so the model's checksum is wrong, too."""
    model, path = trained(2).snapshot()
    message = caffe_pb2.NetParameter.FromString(Path(model).read_bytes())
    message.layer[1].blobs[1].data[0] = 5
    Path(model).write_bytes(message.SerializeToString())
    refused(path, f"{model}: its weights are others than were saved in it")
    caplog.clear()
    other = solver()
    other.restore(path, allow_other_weights=True)
    assert other.net.params["ip"][1].data[0] == 5
    assert "it is taken as it is" in caplog.text and "other weights than" in caplog.text
    Path("solver.prototxt").write_text(text_format.MessageToString(param()))
    words = ["train", "-solver=solver.prototxt", f"-snapshot={path}"]
    assert main(words) == 1
    assert main([*words, "--allow-other-weights"]) == 0
    assert main([*words[:2], "--allow-other-weights"]) == 2


def test_no_flipped_bit_of_a_state_goes_on_from_another_one():
    one = trained(2)
    _, path = one.snapshot()
    expected, content, other = all_of(one), Path(path).read_bytes(), solver()
    harmless = 0
    for at in range(len(content)):
        flipped = bytearray(content)
        flipped[at] ^= 1 << at % 8
        Path(path).write_bytes(flipped)
        before = all_of(other)
        try:
            other.restore(path)
        except CaffeliteError:
            np.testing.assert_equal(all_of(other), before)
            continue
        harmless += 1  # in what says that the checksum or the digest is one
        np.testing.assert_equal(all_of(other), expected)
        other.step(1)
    assert harmless < 20


def test_no_flipped_bit_of_values_in_an_hdf5_state_loads():
    h5py = pytest.importorskip("h5py")
    _, path = trained(2, ".h5").snapshot()
    with h5py.File(path) as file:
        places = [
            (file[name].id.get_offset(), size) for name, size in (("history/1", 8), ("iter", 4))
        ]
    content = Path(path).read_bytes()
    for at in [place + i for place, size in places for i in range(size)]:
        flipped = bytearray(content)
        flipped[at] ^= 1 << at % 8
        Path(path).write_bytes(flipped)
        refused(path, "holds something else than was saved in it|damaged")


@FORMS
def test_a_restore_that_fails_changes_nothing(ending):
    """Whatever of it fails, and however late."""
    model, state = trained(2, ending).snapshot()
    content = Path(model).read_bytes()
    os.remove(model)
    refused(state, "cannot read the weights: No such file")
    Path(model).write_bytes(content[:-4])
    refused(state, "damaged|cannot be read")
    last = content.rindex(trained(2, ending).net.params["ip"][1].data.tobytes())
    flipped = bytearray(content)
    flipped[last] ^= 1
    Path(model).write_bytes(flipped)
    refused(state, "its weights are others than were saved in it")
    wider = text_format.MessageToString(param(ending)).replace("num_output: 2", "num_output: 3")
    wider = caffelite.get_solver(
        text_format.Parse(wider.replace("dim: 2", "dim: 3"), caffe_pb2.SolverParameter())
    )
    wider.net.save_hdf5(model) if ending else wider.net.save(model)
    refused(state, "holds the shape")


def test_the_model_takes_its_place_when_the_state_is_on_disk_too(monkeypatch):
    one, places = trained(2), []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (places.append((os.listdir(), b)),
                                                     replace(a, b)))  # fmt: skip
    paths = one.snapshot()
    assert [os.path.basename(there) for _, there in places] == list(paths)
    assert sum(name.endswith(".part") for name in places[0][0]) == 2
    monkeypatch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "full")))
    one.step(1)
    with pytest.raises(CaffeliteError, match=r"s_iter_3.caffemodel: cannot be written: full"):
        one.snapshot()
    assert sorted(os.listdir()) == sorted(paths)
