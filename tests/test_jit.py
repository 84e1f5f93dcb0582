import os
import subprocess
import sys

import numpy as np
import pytest
from numba import types
from numba.core import codegen
from numba.core.caching import NullCache

from caffelite.kernels import _jit

CODE = """
import logging
logging.basicConfig(level=logging.INFO, format="%(message)s")
import numpy as np
from caffelite.kernels import axpy, relu
for x in (np.zeros(1, "f"), np.zeros(1)):
    axpy.axpy(x.dtype.type(1), x, x)
    relu.forward(x, x.dtype.type(0), x)
"""


@pytest.mark.slow
def test_compiling_is_said_once_and_its_code_kept_in_the_users_cache(tmp_path):
    environment = {"PATH": "", "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "own")}
    said = [
        subprocess.run(
            [sys.executable, "-c", CODE],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stderr
        for _ in range(2)
    ]
    assert said == ["Compiling kernels for this CPU; later runs find them on disk.\n", ""]
    home = tmp_path / "own" if sys.platform == "linux" else tmp_path
    kept = {path.stem.split(".")[0] for path in home.rglob("caffelite/**/*.nbc")}
    assert {"axpy", "relu"} <= kept


RUNS = """
import caffelite
from caffelite import layers as L

def run(_=None):
    x = L.Input(shape=dict(dim=[1, 8, 64, 64]))
    net = caffelite.Net(L.ReLU(L.Scale(x)).to_proto(), caffelite.TEST)
    return [net.forward()["ReLU1"].sum() for _ in range(20)]

"""
FORKS = """
import multiprocessing
run()
with multiprocessing.get_context("fork").Pool(1) as pool:
    print(sum(pool.map(run, [0])[0]))
"""
THREADS = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(4) as pool:
    print(sum(sum(pool.map(run, range(8)), [])))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere processes are not forked")
@pytest.mark.parametrize("layer", ["omp", pytest.param("workqueue", marks=pytest.mark.slow)])
@pytest.mark.parametrize("then", [FORKS, THREADS], ids=["forks", "threads"])
def test_nets_run_in_threads_and_forks(then, layer, require_threading_layer):
    require_threading_layer(layer)
    done = subprocess.run(
        [sys.executable, "-c", RUNS + then],
        env={**os.environ, "NUMBA_THREADING_LAYER": layer},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    assert done.stdout == "0.0\n"


def test_few_values_are_left_to_one_thread(monkeypatch):
    counts = []
    doubled = _jit.Parallel(add_part.py_func, {})
    monkeypatch.setattr(doubled, "_launch", lambda parts, x: counts.append(parts))
    monkeypatch.setattr(_jit, "ALONE", 1000 * _jit.VALUE)
    monkeypatch.setattr(_jit.numba, "get_num_threads", lambda: 8)
    doubled(np.zeros(1000))
    doubled(np.zeros(1001))
    assert counts == [1, 8]


@_jit.kernel(parallel=True)
def add_part(x, out, share):
    """out[part] += the sum of a part of x, which may hold no -1."""
    for i in _jit.prange(len(x), share):
        if x[i] == -1:
            raise ValueError("no")
        out[share[0]] += x[i]


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_parts_are_the_same_whichever_thread_computes_them(parts, all_threads):
    x, there, here = np.arange(1.0, 11.0), np.zeros(parts), np.zeros(parts)
    add_part.on(parts)(x, there)
    assert there.sum() == x.sum() and (there > 0).all()
    with _jit._in_use:  # as while another thread has all of numba's
        add_part.on(parts)(x, here)
    assert (there == here).all()


@pytest.mark.parametrize("parts", [1, 2])
def test_what_goes_wrong_in_a_part_ends_the_kernel(parts, all_threads):
    for at in (0, 9):
        x = np.arange(10.0)
        x[at] = -1
        with pytest.raises(RuntimeError, match="add_part: a thread failed"):
            add_part.on(parts)(x, np.zeros(parts))


def test_a_kernel_that_is_called_with_a_constant_is_compiled_for_its_type():
    @_jit.kernel
    def add(x, number):
        x[0] += number

    for number in (types.literal(1), types.literal(3), types.int64):  # as callers ask for it
        template, *_ = add.get_call_template([types.float64[::1], number], {})
        assert [case.args for case in template.cases] == [(types.float64[::1], types.int64)]
    assert not add.signatures, "callees are no machine code of their own"


def test_a_loop_over_threads_becomes_machine_code_once(monkeypatch):
    """For one thread and for all, and not once more for what it calls."""

    @_jit.kernel
    def increment(x, i):
        x[i] += 1

    @_jit.kernel(parallel=True)
    def increment_all(x, share):
        for i in _jit.prange(len(x), share):
            increment(x, i)

    made, finalize = [], codegen.JITCodeLibrary._finalize_specific
    monkeypatch.setattr(
        codegen.JITCodeLibrary,
        "_finalize_specific",
        lambda library: (made.append(library.name), finalize(library)),
    )
    increment_all.run._cache = NullCache()  # not the one on disk
    x = np.zeros(100)
    increment_all.on(2)(x)
    increment_all.on(1)(x)
    assert (x == 2).all()
    assert [name for name in made if "increment" in name] == [increment_all.run.__qualname__]
