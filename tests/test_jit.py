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
    doubled = _jit.Parallel(lambda x: x.__imul__(2), None, {})
    monkeypatch.setattr(doubled, "on", lambda threads: counts.append(threads) or np.copy)
    monkeypatch.setattr(_jit, "ALONE", 1000 * _jit.VALUE)
    monkeypatch.setattr(_jit.numba, "get_num_threads", lambda: 8)
    doubled(np.zeros(1000))
    doubled(np.zeros(1001))
    assert counts == [1, 8]


def test_a_single_turn_of_a_loop_is_the_kernel_that_it_calls():
    @_jit.kernel
    def add(x, part):
        x[part] += part + 1

    @_jit.kernel(parallel=True, part=add)
    def add_all(x):
        for part in _jit.prange(len(x)):
            add(x, np.int64(part))

    one, three = np.zeros(1), np.zeros(3)
    add_all.on(1)(one)
    add_all.on(3)(three)
    assert (one == [1]).all() and (three == [1, 2, 3]).all()
    assert not isinstance(add_all.alone, type(add)), "the loop is not compiled for one thread"


def test_a_kernel_that_is_called_with_a_constant_is_compiled_for_its_type():
    @_jit.kernel
    def add(x, number):
        x[0] += number

    for number in (types.literal(1), types.literal(3), types.int64):  # as callers ask for it
        template, *_ = add.get_call_template([types.float64[::1], number], {})
        assert [case.args for case in template.cases] == [(types.float64[::1], types.int64)]
    assert not add.signatures, "callees are no machine code of their own"


def test_a_loop_over_threads_becomes_machine_code_once(monkeypatch):
    """Not three times more for the functions that numba makes of it, nor for what it calls."""

    @_jit.kernel
    def increment(x, i):
        x[i] += 1

    @_jit.kernel(parallel=True, part=increment)
    def increment_all(x):
        for i in _jit.prange(len(x)):
            increment(x, np.int64(i))

    made, finalize = [], codegen.JITCodeLibrary._finalize_specific
    monkeypatch.setattr(
        codegen.JITCodeLibrary,
        "_finalize_specific",
        lambda library: (made.append(library.name), finalize(library)),
    )
    increment_all.together._cache = NullCache()  # not the one on disk
    x = np.zeros(100)
    increment_all.on(2)(x)
    assert (x == 1).all()
    assert [name for name in made if "increment" in name] == [increment_all.together.__qualname__]
    assert not [name for name in made if "parfor" in name or "gufunc" in name.lower()]
