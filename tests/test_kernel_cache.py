"""Machine code on disk is whole and of today's sources, or is not used."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest
from numba.core.ccallback import CFunc
from numba.core.codegen import JITCodeLibrary

from caffelite.kernels import _cache, _link
from caffelite.kernels._jit import kernel
from caffelite.kernels._simd import copy

pytestmark = pytest.mark.skipif(
    numba.config.DISABLE_JIT, reason="nothing is cached without compilation"
)

MODULE = """
import numpy as np
from caffelite.kernels._jit import kernel
from caffelite.kernels._simd import copy

@kernel
def mirror(x, y):
    copy(x.size, x, 0, 1, y, 0, 1)

def agrees():
    x, y = np.arange(100.0), np.zeros(100)
    mirror(x, y)
    return (x == y).all()
"""
RUN = """
import logging, sys
logging.basicConfig(format="%(message)s")
sys.path.insert(0, "")
import mirrors
print(mirrors.agrees())
"""


class Runs:
    """Runs of a program whose kernel calls a linked one, and the cache between them."""

    def __init__(self, folder):
        self.folder, self.cache = folder, folder / "cache"
        (folder / "mirrors.py").write_text(MODULE)

    def __call__(self, before=""):
        """What a run says on stderr; its results are right."""
        done = subprocess.run(
            [sys.executable, "-c", before + RUN],
            env={**os.environ, "NUMBA_CACHE_DIR": str(self.cache)},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "True\n"
        return done.stderr

    def files(self):
        return sorted(path for path in self.cache.rglob("*") if path.is_file())


@pytest.fixture
def run(tmp_path):
    return Runs(tmp_path)


@pytest.mark.slow
def test_damaged_code_is_named_and_made_anew(run):
    assert run() == ""
    files = run.files()
    assert {path.name.partition("-")[0] for path in files} >= {
        "mirrors.mirror",
        "_simd.copy_float64",
    }
    for damage in (
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content[:-9] + bytes([content[-9] ^ 4]) + content[-8:],
    ):
        for path in files:
            path.write_bytes(damage(path.read_bytes()))
        said = run()
        assert [f"{path}: the machine code in it is damaged" in said for path in files] == (
            [True] * len(files)
        ), said
        assert run() == ""
        assert run.files() == files


@pytest.mark.slow
def test_code_of_other_sources_is_compiled_anew(run):
    run()
    source, files = run.folder / "mirrors.py", run.files()
    source.write_text(source.read_text().replace("copy(x.size", "copy(50"))
    with pytest.raises(AssertionError):  # half of the values stay 0
        run()
    assert run.files() == files


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="file sizes are not limited there")
def test_a_full_disk_means_no_cache(run):
    said = run("import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n")
    assert said.count("machine code cannot be kept here (File too large)") == 2  # two folders
    assert run.files() == []


@pytest.mark.slow
def test_a_folder_that_cannot_be_made_means_no_cache(run):
    run.cache.write_text("")
    assert "machine code cannot be kept here (Not a directory)" in run()


def _twin(x, y):
    copy(x.size, x, 0, 1, y, 0, 1)


@pytest.mark.parametrize("problem", [MemoryError, KeyboardInterrupt])
def test_what_stops_a_linked_function_stops_its_caller(problem, monkeypatch):
    x, y = np.arange(100.0), np.zeros(100)
    monkeypatch.setattr(_cache.KernelCache, "load_overload", lambda *arguments: None)
    monkeypatch.setattr(_cache.KernelCache, "save_overload", lambda *arguments: None)
    twin = kernel(_twin)
    monkeypatch.delitem(_link._provided, "caffelite_copy_float64", raising=False)

    def stop(self):
        raise problem

    with monkeypatch.context() as compiling:
        compiling.setattr(CFunc, "compile", stop)
        with pytest.raises(problem):
            twin(x, y)
    assert not y.any()
    twin(x, y)
    assert (x == y).all()


def test_code_without_an_object_is_not_kept(tmp_path, monkeypatch):
    """A signal that came while LLVM called back has left numba without the object code."""
    mirrored = kernel(mirrored_by_hand)
    monkeypatch.setattr(mirrored._cache, "cache_path", str(tmp_path))
    x, y = np.arange(5.0), np.zeros(5)

    def lost(library):
        raise RuntimeError("no compiled object yet")

    monkeypatch.setattr(JITCodeLibrary, "serialize_using_object_code", lost)
    mirrored(x, y)
    assert (x == y).all() and not os.listdir(tmp_path)


def mirrored_by_hand(x, y):
    for i in range(x.size):
        y[i] = x[i]
