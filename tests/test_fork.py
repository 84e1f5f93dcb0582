"""What a forked process does with nets that its parent has run."""

import gc
import os
import signal
import threading
import traceback
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffelite
from caffelite.data.datum import from_pixels
from caffelite.data.lmdb import LmdbWriter
from caffelite.data.prefetch import Prefetch
from caffelite.testing import make_layer

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="cannot fork here"),
    pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning"),
]

HANGS = 120  # seconds, after which a child is killed and its test fails


def in_child(function):
    """Run `function` in a forked process; an AssertionError unless it ends well."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        return
    code = 1
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(HANGS)
        function()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def pixels(index):
    return np.full((3, 4, 5), index, np.uint8)


def lmdb_source(folder):
    with LmdbWriter(folder / "samples") as database:
        for index in range(5):
            datum = from_pixels(pixels(index), index)
            database.put(b"%03d" % index, datum.SerializeToString())
    return "Data", f'data_param {{ source: "{folder}/samples" backend: LMDB batch_size: 2 }}'


def leveldb_source(folder):
    pytest.importorskip("plyvel")
    from caffelite.data.leveldb import new_leveldb

    with new_leveldb(folder / "samples") as database:
        for index in range(5):
            datum = from_pixels(pixels(index), index)
            database.put(b"%03d" % index, datum.SerializeToString())
    return "Data", f'data_param {{ source: "{folder}/samples" backend: LEVELDB batch_size: 2 }}'


def picture_source(folder):
    for index in range(5):
        Image.fromarray(pixels(index).transpose(1, 2, 0)).save(folder / f"{index}.png")
    names = "".join(f"{folder}/{index}.png {index}\n" for index in range(5))
    (folder / "list.txt").write_text(names)
    return "ImageData", f'image_data_param {{ source: "{folder}/list.txt" batch_size: 2 }}'


def hdf5_source(folder):
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "rows.h5", "w") as file:
        file["data"] = np.arange(5.0)[:, None, None, None] * np.ones((3, 4, 5))
        file["label"] = np.arange(5.0)
    (folder / "list.txt").write_text(str(folder / "rows.h5"))
    options = f'hdf5_data_param {{ source: "{folder}/list.txt" batch_size: 2 }}'
    return "HDF5Data", f'top: "data" top: "label" {options}'


SOURCES = [lmdb_source, leveldb_source, picture_source, hdf5_source]


def served(made):
    """The numbers of the samples in the next batch; data must agree with labels."""
    layer, bottom, top = made
    layer.forward(bottom, top)
    labels = top[1].data.astype(int).ravel().tolist()
    expected = np.float32(labels)[:, None, None, None] * np.ones((1, 3, 4, 5), np.float32)
    np.testing.assert_array_equal(top[0].data, expected)
    return labels


@pytest.mark.parametrize("source", SOURCES)
def test_a_child_goes_on_with_data_that_the_parent_read(source, tmp_path):
    kind, options = source(tmp_path)
    tops = None if kind == "HDF5Data" else 2
    made = make_layer(kind, [], options, tops=tops, dtype=np.float32)
    assert served(made) == [0, 1]
    others = [[k % 5, (k + 1) % 5] for k in range(2, 22, 2)]  # more than are loaded ahead

    def child():
        assert [served(made) for _ in others] == others
        made[0].close()

    in_child(child)
    in_child(made[0].close)
    assert [served(made) for _ in others] == others
    made[0].close()


def test_a_child_leaves_the_passing_folder_of_a_leveldb_to_the_parent(tmp_path, monkeypatch):
    (tmp_path / "passing").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "passing"))
    kind, options = leveldb_source(tmp_path)
    made = [make_layer(kind, [], options, tops=2, dtype=np.float32)]
    [folder] = os.listdir(tmp_path / "passing")
    served(made[0])

    def child():
        made[0][0].source.records._remove_folder()  # as when a process ends by itself
        made.clear()
        gc.collect()

    in_child(child)
    assert os.listdir(tmp_path / "passing") == [folder]
    made[0][0].close()
    assert os.listdir(tmp_path / "passing") == []


def test_a_lock_held_while_forking_stops_no_child():
    batches = Prefetch(lambda k: k, step=1, depth=2)
    assert batches.batch(0) == 0
    held, enough = threading.Event(), threading.Event()

    def hold():
        with batches._worker._changed:
            held.set()
            enough.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    try:
        in_child(lambda: batches.batch(1) == 1 or os._exit(2))
        in_child(batches.close)
    finally:
        enough.set()
        holder.join()
    batches.close()


def test_a_net_with_data_trains_on_in_a_child(tmp_path):
    kind, options = lmdb_source(tmp_path)
    text = f"""
layer {{ name: "d" type: "{kind}" top: "data" top: "label" {options} }}
layer {{ name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param {{ num_output: 5 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }}
"""
    net = tmp_path / "net.prototxt"
    net.write_text(text)
    Path(tmp_path / "solver.prototxt").write_text(
        f'net: "{net}" lr_policy: "fixed" base_lr: 0.01 random_seed: 1 momentum: 0.9'
    )
    solver = caffelite.get_solver(str(tmp_path / "solver.prototxt"))
    solver.step(2)
    values = tmp_path / "values.npy"

    def child():
        solver.step(2)
        np.save(values, solver.net.params["ip"][0].data)

    in_child(child)
    solver.step(2)
    np.testing.assert_array_equal(np.load(values), solver.net.params["ip"][0].data)
    solver.net.close()
