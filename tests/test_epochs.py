"""Passes over the samples: `train --epochs`, and `test` over the whole set, each sample once."""

import json
from pathlib import Path

import numpy as np
import pytest

import caffelite
from caffelite.cli import main
from caffelite.data.lmdb import LmdbWriter
from caffelite.io import array_to_datum
from caffelite.measures.base import Batch
from caffelite.measures.means import Means
from caffelite.proto import caffe_pb2

NET = """
layer { name: "data" type: "Data" top: "data" top: "label" transform_param { %s }
        data_param { source: "lmdb" batch_size: 4 backend: LMDB } }
layer { name: "flat" type: "Flatten" bottom: "data" top: "flat" }
layer { name: "ip" type: "InnerProduct" bottom: "flat" top: "ip"
        inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
SOLVER = 'net: "net.prototxt" base_lr: 0.01 snapshot_prefix: "small" random_seed: 1\n'
FIXED = 'lr_policy: "fixed"'
COUNT = 10


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A database of ten pictures, and a net that takes four at once."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    with LmdbWriter("lmdb") as database:
        for i in range(COUNT):
            pixels = random.integers(0, 256, (1, 2, 2)).astype(np.uint8)
            database.put(b"%03d" % i, array_to_datum(pixels, i % 3).SerializeToString())
    Path("net.prototxt").write_text(NET % "scale: 0.004")
    Path("solver.prototxt").write_text(SOLVER + FIXED)
    return tmp_path


def snapshots():
    return sorted(int(path.stem.split("_")[-1]) for path in Path().glob("*.caffemodel"))


# train --epochs


@pytest.mark.parametrize(
    "epochs, more, iterations",
    [
        ("2", "", 5),
        ("1", "", 3),  # the third begins the next pass
        ("0.5", "", 2),
        ("2", "iter_size: 2", 3),
        ("2", 'lr_policy: "poly" power: 1', 5),
        ("4", 'lr_policy: "cosine" warmup_iter: 2', 10),
    ],
)
def test_epochs_are_iterations(folder, epochs, more, iterations):
    Path("solver.prototxt").write_text(SOLVER + more + " " + ("" if "lr_policy" in more else FIXED))
    assert main(["train", "solver.prototxt", "--epochs", epochs, "-q"]) == 0
    assert snapshots() == [iterations]


def test_schedules_that_go_by_max_iter_end_with_the_epochs(folder):
    Path("solver.prototxt").write_text(
        SOLVER + 'lr_policy: "poly" power: 1 max_iter: 1000 display: 1'
    )
    assert main(["train", "solver.prototxt", "--epochs", "2", "--log", "log", "-q"]) == 0
    records = [json.loads(line) for line in Path("log").read_text().splitlines()]
    rates = [record["lr"] for record in records if record["event"] == "train"]
    np.testing.assert_allclose(rates, 0.01 * (1 - np.arange(5) / 5), rtol=1e-6)
    assert "max_iter: 5" in records[0]["solver"]


@pytest.mark.parametrize("flags", [["--epochs", "2"], ["--iterations", "5"]])
def test_steps_stay_and_those_beyond_the_end_are_told(folder, flags, capsys):
    more = 'lr_policy: "multistep" gamma: 0.1 stepvalue: 3 stepvalue: 5 max_iter: 9'
    Path("solver.prototxt").write_text(SOLVER + more)
    assert main(["train", "solver.prototxt", *flags]) == 0
    told = capsys.readouterr().err
    assert "solver.prototxt: stepvalue 5 is never reached: max_iter is 5" in told
    assert "stepvalue 3" not in told and ("2 epochs are 5 iterations" in told) == (
        flags[0] == "--epochs"
    )


def test_a_run_goes_on_to_more_epochs(folder):
    assert main(["train", "solver.prototxt", "--epochs", "1", "-q"]) == 0
    assert main(["train", "solver.prototxt", "--epochs", "3", "--resume", "-q"]) == 0
    assert snapshots() == [3, 8]


def test_a_source_that_does_not_know_its_length_has_no_epochs(folder, capsys):
    Path("net.prototxt").write_text(
        'layer { name: "data" type: "DummyData" top: "x" '
        "dummy_data_param { shape { dim: 2 dim: 3 } } }\n"
        'layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" '
        "inner_product_param { num_output: 2 } }"
    )
    assert main(["train", "solver.prototxt", "--epochs", "1", "-q"]) == 1
    told = capsys.readouterr().err
    assert "solver.prototxt: --epochs: the train net has no source of samples" in told
    text = Path("net.prototxt").read_text().replace("DummyData", "MemoryData")
    text = text.replace("dummy_data_param { shape { dim: 2 dim: 3 } }", """top: "label"
        memory_data_param { batch_size: 2 channels: 3 height: 1 width: 1 }""")  # fmt: skip
    Path("net.prototxt").write_text(text)
    assert main(["train", "solver.prototxt", "--epochs", "1", "-q"]) == 1
    told = capsys.readouterr().err
    assert 'layer "data" (MemoryData): how many samples it has is not known' in told


@pytest.mark.parametrize(
    "flags, told",
    [
        (["--epochs", "0"], "--epochs: expected more than 0, not 0"),
        (["--epochs", "-1"], "--epochs: expected more than 0, not -1"),
        (["--epochs", "x"], "argument --epochs"),
        (["--epochs", "1", "--iterations", "2"], "exclude each other"),
        (["--solver", "solver.prototxt"], "expected one solver's prototxt: SOLVER, or --solver"),
    ],
)
def test_mistakes_on_the_command_line(folder, flags, told, capsys):
    assert main(["train", "solver.prototxt", *flags]) == 2
    assert told in capsys.readouterr().err


def test_a_command_without_its_file_says_which(folder, capsys):
    for command, told in (("train", "SOLVER"), ("test", "MODEL"), ("time", "MODEL")):
        assert main([command]) == 2
        assert f"prototxt: {told}" in capsys.readouterr().err


# test over the whole set


def run_test(*words):
    code = main(["test", "net.prototxt", "--allow-missing", "-q", *words])
    assert code == 0


def report(capsys, *words):
    capsys.readouterr()
    run_test("--json", *words)
    return json.loads(capsys.readouterr().out)


def by_hand(capsys):
    """Loss and accuracy with one sample a batch: each counts once."""
    return report(capsys, "--set", "layer[data].data_param.batch_size=1", "--iterations", "10")


@pytest.fixture
def same_weights(monkeypatch):
    monkeypatch.setattr("caffelite.rng.next_seed", lambda: 7)


@pytest.mark.parametrize("size, batches", [(4, 3), (5, 2), (3, 4), (10, 1), (64, 1)])
def test_each_sample_counts_once(folder, same_weights, capsys, size, batches):
    expected = by_hand(capsys)
    found = report(capsys, "--set", f"layer[data].data_param.batch_size={size}")
    assert found["iterations"] == batches
    for name in ("accuracy", "loss"):
        np.testing.assert_allclose(found["outputs"][name], expected["outputs"][name], rtol=1e-5)
    np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-5)


def test_crops_and_rows_are_as_many_as_samples(folder, same_weights, capsys):
    """Of an output with a row a sample, rows that the last batch lacks have the others' mean."""
    text = NET % "ten_crop: true crop_size: 1"
    Path("net.prototxt").write_text(text[: text.index('layer { name: "accuracy"')])
    found = report(capsys)
    assert found["iterations"] == 3 and np.shape(found["outputs"]["ip"]) == (40, 3)


def test_hdf5_rows_count_once(folder, same_weights, capsys):
    h5py = pytest.importorskip("h5py")
    random = np.random.default_rng(1)
    with h5py.File("a.h5", "w") as file:
        file["data"] = random.normal(size=(COUNT, 4)).astype(np.float32)
        file["label"] = (np.arange(COUNT) % 3).astype(np.float32)
    Path("list.txt").write_text("a.h5\n")
    text = NET % ""
    rest = text[text.index('layer { name: "flat"') :]
    head = 'layer { name: "data" type: "HDF5Data" top: "data" top: "label" hdf5_data_param'
    Path("net.prototxt").write_text(f'{head} {{ source: "list.txt" batch_size: 4 }} }}\n{rest}')
    found = report(capsys)
    one = "layer[data].hdf5_data_param.batch_size=1"
    expected = report(capsys, "--set", one, "--iterations", "10")
    assert found["iterations"] == 3
    np.testing.assert_allclose(found["outputs"]["loss"], expected["outputs"]["loss"], rtol=1e-5)


def test_iterations_mean_batches_as_in_caffe(folder, same_weights, capsys):
    assert report(capsys, "--iterations", "7")["iterations"] == 7


def test_where_a_length_is_not_known_there_are_fifty(folder, capsys):
    Path("net.prototxt").write_text(
        'layer { name: "data" type: "DummyData" top: "x" '
        "dummy_data_param { shape { dim: 2 dim: 3 } } }"
    )
    assert report(capsys)["iterations"] == 50


def test_a_net_of_one_batch_size_leaves_out_what_is_left(folder, same_weights, capsys):
    text = (NET % "").replace(
        'type: "Flatten" bottom: "data" top: "flat"',
        'type: "Reshape" bottom: "data" top: "flat" reshape_param { shape { dim: 4 dim: 4 } }',
    )
    Path("net.prototxt").write_text(text)
    run_test("--json")
    out, err = capsys.readouterr()
    assert json.loads(out)["iterations"] == 2
    assert "The last 2 samples are left out: net.prototxt:" in err


def test_means_of_weighted_halves_are_merged():
    def batch(value, count):
        rows = np.full((count, 2), value, np.float32)
        return Batch({"a": np.float32(value), "rows": rows}, count, value)

    def means(*batches):
        found = Means(caffelite.Net(caffe_pb2.NetParameter(), caffelite.TEST))
        found.blobs = ["a", "rows"]
        for one in batches:
            found.add(one)
        return found

    parts = batch(1.0, 4), batch(2.0, 4), batch(6.0, 2)
    halves = means(parts[0])
    halves.merge(means(*parts[1:]))
    for found in (means(*parts), halves):
        assert found.figures()["a"] == found.loss == (1 * 4 + 2 * 4 + 6 * 2) / 10
        rows = found.figures()["rows"]
        assert (rows[:2] == 2.4).all() and (rows[2:] == 1.5).all()
