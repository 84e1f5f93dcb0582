"""HDF5 files that end, or hang, a process that reads them."""

import io
import os
import random
import subprocess
import sys

import numpy as np
import pytest

from caffelite.data import _hdf5_trial, hdf5
from caffelite.errors import DataError

h5py = pytest.importorskip("h5py")

BREAKING = """
import os, signal, sys, time, h5py
real = h5py.File

def broken(path, mode):
    if "hang" in path:
        time.sleep(100)
    if "break" in path:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "kill" in path:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(path, mode)

h5py.File = broken
"""


@pytest.fixture
def trial(monkeypatch):
    """A process in which files with certain names do what damaged ones have done."""
    monkeypatch.setattr(_hdf5_trial, "_START", BREAKING + _hdf5_trial._START)
    made = _hdf5_trial.Trial()
    monkeypatch.setattr(hdf5, "_trial", made)
    yield made
    made._end()


def write(path):
    with h5py.File(path, "w") as file:
        file["data/ip/0"] = np.arange(6, dtype="f4").reshape(2, 3)
        file.create_dataset("rows", data=np.ones((50, 4)), chunks=(8, 4), compression="gzip")
    return path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("break.h5", "break.h5: cannot be read as HDF5: it is damaged: SIGSEGV ends a process"),
        ("hang.h5", "hang.h5: cannot be read as HDF5: it is damaged: .* comes to no end"),
        ("kill.h5", "kill.h5: cannot be read as HDF5: signal 9 ended, twice, the process"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_it_is_another_process_that_ends(tmp_path, trial, monkeypatch, name, message):
    good, bad = write(tmp_path / "good.h5"), write(tmp_path / name)
    for _ in range(2):
        with monkeypatch.context() as waiting:
            waiting.setattr(_hdf5_trial, "PATIENCE", 1)
            with pytest.raises(DataError, match=message), hdf5.open_file(bad):
                pass
        with hdf5.open_file(good) as file:
            assert list(file) == ["data", "rows"]


def test_a_file_is_tried_once_until_it_changes(tmp_path, trial, monkeypatch):
    path, asked = write(tmp_path / "a.h5"), []
    ask = trial._ask
    monkeypatch.setattr(trial, "_ask", lambda *how, **more: asked.append(how) or ask(*how, **more))
    for _ in range(3):
        with hdf5.open_file(path):
            pass
    first = len(asked)
    os.utime(path, ns=(1, 1))
    with hdf5.open_file(path):
        pass
    assert (first, len(asked)) == (2, 3)  # one of the first starts the process


def test_where_no_process_can_be_had_files_are_read_all_the_same(tmp_path, trial, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    with hdf5.open_file(write(tmp_path / "a.h5")) as file:
        assert list(file) == ["data", "rows"]


def test_what_a_dataset_makes_up_is_not_read_to_its_end(tmp_path):
    """Unwritten chunks are zeros that take hours to read, and nobody is to read them."""
    with h5py.File(tmp_path / "made_up.h5", "w") as file:
        data = file.create_dataset("0", (1 << 14, 1 << 14, 128), "f4", chunks=(1, 1, 128))
        file.create_dataset("1", (1 << 10, 8), "f4", chunks=(8, 8))
        steps = []
        _hdf5_trial._read_dataset(file["1"], True, lambda: steps.append(1))
        assert steps
        _hdf5_trial._read_dataset(data, True, lambda: pytest.fail("it is read"))
        with pytest.raises(DataError, match=r'"/0" declares 137438953472 bytes'):
            hdf5.dataset(file, "0")


READER = """
import sys
import numpy as np
from caffelite.data import hdf5
from caffelite.errors import DataError

def visit(group):
    for name in group:
        try:
            visit(hdf5.group(group, name))
        except DataError:
            data = hdf5.dataset(group, name, least_axes=0)
            if 0 < data.size < 1 << 22:
                data.read_direct(np.empty(data.shape, "f4"))

for line in sys.stdin:
    try:
        with hdf5.open_file(line.strip()) as file:
            visit(file)
    except DataError as problem:
        assert line.strip() in str(problem)
    print("done", flush=True)
"""


def attack(folder, times, seed):
    """Let a process read a file damaged in many ways; how it ends."""
    draw = random.Random(seed)
    whole = {version: io.BytesIO() for version in ("earliest", "latest")}
    for version, file in whole.items():
        with h5py.File(file, "w", libver=version) as opened:
            opened["data/ip/0"] = np.arange(60, dtype="f4").reshape(3, 4, 5)
            opened["iter"] = 3
            for name, more in (("a", {"compression": "gzip"}), ("b", {"fletcher32": True})):
                opened.create_dataset(name, data=np.arange(40.0), chunks=(10,), **more)
    reader = subprocess.Popen(
        [sys.executable, "-c", READER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with reader:
        for _ in range(times):
            data = bytearray(whole[draw.choice(list(whole))].getvalue())
            reach = min(len(data), draw.choice([100, 1000, len(data)]))
            for _ in range(draw.choice([1, 2, 8])):
                data[draw.randrange(reach)] = draw.choice([0, 1, 127, 255, draw.randrange(256)])
            (folder / "damaged.h5").write_bytes(data)
            reader.stdin.write(f"{folder}/damaged.h5\n")
            reader.stdin.flush()
            if not reader.stdout.readline():
                break
        reader.stdin.close()
    return reader.returncode


def test_damaged_files_do_not_end_the_process_that_asks(tmp_path):
    assert attack(tmp_path, 200, seed=0) == 0


@pytest.mark.parametrize(
    ("seed", "times"),
    [
        pytest.param(1, 1000, marks=pytest.mark.slow),
        *(pytest.param(seed, 5000, marks=pytest.mark.long) for seed in range(2, 5)),
    ],
)
def test_many_damaged_files_do_not_end_the_process_that_asks(tmp_path, seed, times):
    assert attack(tmp_path, times, seed) == 0
