"""caffelite extract_features: what blobs hold, as LMDB, HDF5 or .npz."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import caffelite
from caffelite.cli import main
from caffelite.data.datum import DatumSource, from_pixels
from caffelite.data.leveldb import LevelDbSource
from caffelite.data.lmdb import LmdbSource, LmdbWriter

NET = """
layer { name: "data" type: "Data" top: "data" top: "label" transform_param { scale: 0.01 }
        data_param { source: "db" backend: LMDB batch_size: 4 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "a/conv"
        convolution_param { num_output: 3 kernel_size: 2 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "a/conv" top: "a/conv" }
layer { name: "ip" type: "InnerProduct" bottom: "a/conv" top: "ip"
        inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "sum" type: "Reduction" bottom: "ip" top: "sum" }
"""
COUNT = 10


@pytest.fixture
def values(tmp_path, monkeypatch):
    """A net, its weights and ten samples; what its blobs hold for each of them."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    with LmdbWriter("db") as database:
        for i in range(COUNT):
            datum = from_pixels(random.integers(0, 256, (2, 5, 6), np.uint8), 7 * i)
            database.put(b"%08d" % i, datum.SerializeToString())
    Path("net.prototxt").write_text(NET)
    caffelite.set_random_seed(1)
    net = caffelite.Net("net.prototxt", caffelite.TEST)
    net.save("w.caffemodel")
    parts = []
    for _ in range(3):
        net.forward()
        parts.append({name: blob.data.copy() for name, blob in net.blobs.items()})
    net.close()
    whole = ("data", "label", "a/conv", "ip")
    return {name: np.concatenate([part[name] for part in parts]) for name in whole}


def extract(*words):
    return main(["extract_features", "w.caffemodel", "net.prototxt", *map(str, words)])


@pytest.mark.parametrize("kind", ["lmdb", "leveldb"])
def test_a_database_holds_what_caffes_tool_writes(values, capsys, kind):
    if kind == "leveldb":
        pytest.importorskip("plyvel")
    assert extract("a/conv,ip,label", "conv,fc,y", 2, kind, "CPU") == 0
    out = capsys.readouterr().out.splitlines()
    assert out == ["conv: a/conv, 8 x 3 x 4 x 5", "fc: ip, 8 x 5", "y: label, 8"]
    shapes = {"conv": (3, 4, 5), "fc": (5, 1, 1), "y": (1, 1, 1)}
    for (path, shape), name in zip(shapes.items(), ("a/conv", "ip", "label"), strict=True):
        source = DatumSource(path, database=LmdbSource if kind == "lmdb" else LevelDbSource)
        assert len(source) == 8
        for i in range(8):
            assert source.records.sample(i)[0] == b"%010d" % i
            datum = source.datum(i)
            assert (datum.channels, datum.height, datum.width) == shape
            assert not (datum.HasField("label") or datum.HasField("data"))
            np.testing.assert_array_equal(datum.float_data, values[name][i].ravel())


@pytest.mark.parametrize(("batches", "count"), [(2, 8), ("all", 10), (3, 12)])
def test_files_hold_an_array_called_as_the_blob(values, capsys, batches, count):
    assert extract("a/conv,ip", "c.h5,i.h5", batches, "hdf5") == 0
    with h5py.File("c.h5") as conv, h5py.File("i.h5") as ip:
        np.testing.assert_array_equal(conv["a/conv"], values["a/conv"][:count], strict=True)
        np.testing.assert_array_equal(ip["ip"], values["ip"][:count], strict=True)
    assert extract("ip,label", "i.npz,l.npz", batches, "npz", "--json") == 0
    np.testing.assert_array_equal(np.load("i.npz")["ip"], values["ip"][:count], strict=True)
    np.testing.assert_array_equal(np.load("l.npz")["label"], values["label"][:count], strict=True)
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report[0] == {"dataset": "i.npz", "blob": "ip", "shape": [count, 5]}


def test_one_number_a_batch_is_one_record(values):
    assert extract("sum", "s.npz", 3, "npz") == 0
    assert np.load("s.npz")["sum"].shape == (3,)


def test_the_log_is_caffes(values, capsys):
    assert extract("ip", "x", 1, "lmdb", "GPU", 0) == 0
    err = capsys.readouterr().err
    assert "] Extracting Features\n" in err and "] Successfully extracted the features!\n" in err
    assert "there is no GPU support here" in err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["ipp", "x", 1, "lmdb"], 1, 'has no blob "ipp"; did you mean "ip"?'),
        (["ip,label", "x", 1, "lmdb"], 2, "BLOBS names 2 and DATASETS 1"),
        (["ip,label", "x,x", 1, "lmdb"], 2, "DATASETS: x,x: expected different names"),
        (["ip", "x", 1, "mdb"], 2, 'DB_TYPE "mdb": expected one of lmdb, leveldb, hdf5, npz'),
        (["ip", "x", 0, "lmdb"], 2, 'NUM_BATCHES "0": expected a number from 1 on, or all'),
        (["ip", "x", "many", "lmdb"], 2, "expected a number from 1 on, or all"),
        (["ip", "x", 1, "lmdb", "TPU"], 2, "expected CPU or GPU"),
        (["ip,label", "x,db", 1, "lmdb"], 1, "db: exists already"),
        (["ip,label", "x.npz,w.caffemodel", 1, "npz"], 1, "w.caffemodel: exists already"),
        (["sum", "x", "all", "npz"], 1, 'the blob "sum" has 1 rows for a batch of 4 samples'),
    ],
)
def test_mistakes_leave_nothing(values, capsys, words, code, message):
    before = sorted(os.listdir())
    assert extract(*words) == code
    assert message in capsys.readouterr().err
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize("kind", ["lmdb", "hdf5", "npz"])
def test_a_full_disk_leaves_nothing(values, kind):
    """The limit on the size of a file stands for a disk that is full."""
    before = sorted(os.listdir())

    def small_disk():
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

    words = ["w.caffemodel", "net.prototxt", "label,a/conv", "new/l,new/c", "100", kind]
    command = [sys.executable, "-m", "caffelite", "extract_features", *words]
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "CAFFELITE_PLAN": "off"}
    options = {"capture_output": True, "text": True, "env": environment}
    done = subprocess.run(command, preexec_fn=small_disk, **options)
    assert done.returncode == 1, done.stderr
    assert "new/c: cannot be written" in done.stderr and "Traceback" not in done.stderr
    assert sorted(os.listdir()) == before
