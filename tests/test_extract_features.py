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


@pytest.mark.parametrize("kind", ["hdf5", "npz"])
@pytest.mark.parametrize("places", ["f", "f,f,f", "f,g,f"])
def test_a_file_holds_the_blobs_that_name_it(values, capsys, kind, places):
    names = ["a/conv", "ip", "label"]
    assert extract(",".join(names), places, "all", kind) == 0
    told = {line.split(": ")[0] for line in capsys.readouterr().out.splitlines()}
    assert told == set(places.split(","))
    for name, place in zip(names, (places.split(",") * 3)[:3], strict=True):
        with h5py.File(place) if kind == "hdf5" else np.load(place) as file:
            np.testing.assert_array_equal(file[name][()], values[name][:COUNT], strict=True)


def test_hdf5_data_reads_what_list_names(values, capsys):
    words = ["a/conv,ip,label", "new/f.h5", "all", "hdf5", "--list", "new/f.txt"]
    assert extract(*words) == 0
    assert Path("new/f.txt").read_text() == "new/f.h5\n"
    tops = "".join(f'top: "{name}" ' for name in ("label", "a/conv", "ip"))
    Path("read.prototxt").write_text(
        f'layer {{ name: "x" type: "HDF5Data" {tops}'
        f'hdf5_data_param {{ source: "new/f.txt" batch_size: {COUNT} }} }}'
    )
    net = caffelite.Net("read.prototxt", caffelite.TEST)
    net.forward()
    for name in ("label", "a/conv", "ip"):
        np.testing.assert_array_equal(net.blobs[name].data, values[name][:COUNT], strict=True)
    net.close()


@pytest.mark.parametrize("names", ["file", "allow_pickle", "x.npy"])
def test_any_blob_can_be_in_a_npz_file(values, names):
    Path("net.prototxt").write_text(NET.replace('"ip"', f'"{names}"'))
    assert extract(names, "x.npz", "all", "npz", "--allow-missing") == 0
    assert dict(np.load("x.npz"))[names].shape == (COUNT, 5)


@pytest.mark.parametrize("names", ["a,a/conv", "a/conv,a", "a//conv,ip"])
def test_names_that_hdf5_cannot_hold_are_told_before_the_net_runs(
    values, capsys, monkeypatch, names
):
    text = (
        NET.replace('"ip"', '"a"') if "a//conv" not in names else NET.replace("a/conv", "a//conv")
    )
    Path("net.prototxt").write_text(text)
    before = sorted(os.listdir())
    monkeypatch.setattr(caffelite.Net, "_forward", lambda *_: pytest.fail("has run"))
    assert extract(names, "f.h5", "all", "hdf5", "--allow-missing") == 1
    assert "f.h5: HDF5 cannot hold the name" in capsys.readouterr().err
    assert sorted(os.listdir()) == before


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
        (["ip,label", "x.h5,y.h5,z.h5", 1, "hdf5"], 2, "DATASETS 3; expected as many of both, or"),
        (["ip", "x,x", 1, "hdf5"], 2, "BLOBS names 1 and DATASETS 2"),
        (["ip,ip", "x", 1, "hdf5"], 2, "BLOBS: ip,ip: expected different names"),
        (["ip,label", "x,./x", 1, "hdf5"], 1, "./x: is to be made twice"),
        (["ip", "x", 1, "hdf5", "--list", "x"], 1, "x: is to be made twice"),
        (["ip", "x", 1, "hdf5", "--list", "db"], 1, "db: exists already"),
        (["ip,label", "x,y", 1, "hdf5", "--list", "l"], 2, "one DATASET, not hdf5 and x,y"),
        (["ip,label", "x", 1, "npz", "--list", "l"], 2, "expected DB_TYPE hdf5"),
        (["ip", "a b", 1, "hdf5", "--list", "l"], 2, "expected a name without white space"),
        (["ip,sum", "x", 1, "hdf5", "--list", "l"], 1, 'for each batch: "ip" 4, "sum" 1'),
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


@pytest.mark.parametrize(
    ("kind", "places"),
    [
        ("lmdb", "new/l,new/c"),
        *(
            pytest.param(*k, marks=pytest.mark.slow)
            for k in [("hdf5", "new/c"), ("npz", "new/l,new/c")]
        ),
    ],
)
def test_a_full_disk_leaves_nothing(values, kind, places):
    """The limit on the size of a file stands for a disk that is full."""
    before = sorted(os.listdir())

    def small_disk():
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

    words = ["w.caffemodel", "net.prototxt", "label,a/conv", places, "100", kind]
    command = [sys.executable, "-m", "caffelite", "extract_features", *words]
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "CAFFELITE_PLAN": "off"}
    options = {"capture_output": True, "text": True, "env": environment}
    done = subprocess.run(command, preexec_fn=small_disk, **options)
    assert done.returncode == 1, done.stderr
    assert "new/c: cannot be written" in done.stderr and "Traceback" not in done.stderr
    assert sorted(os.listdir()) == before
