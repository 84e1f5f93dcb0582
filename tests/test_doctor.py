"""doctor: what it tells of a machine that is well, and of one that is not."""

import json
import os
import subprocess
import sys
from importlib.metadata import version

from caffelite import __version__
from caffelite.cli import main
from caffelite.kernels import _vectors


def doctor(*words, **environment):
    """(exit code, stdout) in a process of its own."""
    command = [sys.executable, "-m", "caffelite", "doctor", *words]
    env = os.environ | environment
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout


def test_a_report(capsys):
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["problems"] == []
    assert report["caffelite"]["version"] == __version__
    assert report["needed"]["numba"] == version("numba")
    assert report["needed"].keys() >= {"numpy", "protobuf", "lmdb", "pillow", "tqdm"}
    bits = 8 * _vectors.VECTOR_BYTES
    floats = _vectors.VECTOR_BYTES // 4
    registers = report["kernels"]["vector registers"]
    assert registers == f"{_vectors.REGISTERS} of {bits} bits, {floats} floats"
    assert report["extras"]["h5py"] == version("h5py")


def test_threads_are_those_set():
    code, out = doctor("--json", NUMBA_NUM_THREADS="1", OMP_NUM_THREADS="1")
    report = json.loads(out)
    assert (code, report["kernels"]["threads"]) == (0, 1)
    assert report["environment"]["NUMBA_NUM_THREADS"] == "1"
    assert report["kernels"]["threading layer"] in ("omp", "tbb", "workqueue")


def test_caches_have_a_size(tmp_path):
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "x.nbc").write_bytes(bytes(3000))
    _, out = doctor("--json", NUMBA_CACHE_DIR=str(tmp_path))
    kernels = json.loads(out)["kernels"]
    assert (kernels["machine code"], kernels["its size"]) == (str(tmp_path), "2.9 KiB in 1 files")


def test_what_is_amiss_is_told(tmp_path):
    code, out = doctor(NUMBA_DISABLE_JIT="1", NUMBA_CACHE_DIR=os.path.join(os.devnull, "x"))
    assert code == 1
    assert "problem: NUMBA_DISABLE_JIT is set" in out
    assert f"problem: {os.devnull}" in out and "cannot be written" in out
    assert "nothing is amiss" not in out


def test_a_broken_package_is_told_and_the_rest_too(tmp_path):
    (tmp_path / "lmdb.py").write_text("raise OSError('liblmdb.so: wrong ELF class')")
    code, out = doctor(PYTHONPATH=str(tmp_path))
    assert code == 1
    assert "problem: lmdb cannot be imported: liblmdb.so: wrong ELF class" in out
    assert "threading layer" in out


def test_even_without_numba_there_is_a_report(tmp_path):
    (tmp_path / "numba.py").write_text("raise ImportError('numpy is too new')")
    code, out = doctor(PYTHONPATH=str(tmp_path))
    assert code == 1
    assert "problem: numba cannot be imported: numpy is too new" in out
    assert "problem: kernels cannot be compiled: numpy is too new" in out
