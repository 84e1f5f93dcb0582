"""The default run draws the same numbers each time; `pytest --random` draws others."""

import gc
import importlib
import logging
import os
import signal
import sys
import zlib

import hypothesis
import pytest

from caffelite import rng
from caffelite.glog import set_verbosity

THREADING_LAYERS = {"omp": "omppool", "tbb": "tbbpool", "workqueue": "workqueue"}


def pytest_addoption(parser):
    parser.addoption("--runslow", action="store_true", help="run what is marked slow or long, too")
    parser.addoption(
        "--random", action="store_true", help="draw other examples and seeds each time"
    )


def pytest_xdist_auto_num_workers(config):
    """A process for each core, 8 at most, for the whole suite; a few tests start sooner in one."""
    if config.args != config.getini("testpaths"):
        return 0
    return min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)


def pytest_configure(config):
    os.environ.setdefault("CAFFELITE_AHEAD", "off")  # each worker has a core, and no more
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
    if workers > 1:  # before numba is imported: cores are shared, and two threads are the least
        os.environ.setdefault("NUMBA_NUM_THREADS", str(max(2, (os.cpu_count() or 2) // workers)))
    hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
    hypothesis.settings.register_profile("random", deadline=None, print_blob=True)
    hypothesis.settings.load_profile("random" if config.getoption("--random") else "repeatable")
    # a shell without job control lets what runs in its background, and their children, ignore it
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--runslow"):
        skip = pytest.mark.skip(reason="slow; runs with --runslow")
        for item in items:
            if any(item.iter_markers("slow")) or any(item.iter_markers("long")):
                item.add_marker(skip)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable():
    """What a test logs of names that are no text would end the run of all workers."""
    return _as_text((yield))


def _as_text(value):
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {key: _as_text(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_as_text, value))
    return value


@pytest.fixture
def require_threading_layer():
    """A function that skips the test where numba cannot load a threading layer."""

    def require(name):
        try:
            importlib.import_module(f"numba.np.ufunc.{THREADING_LAYERS[name]}")
        except ImportError as problem:
            pytest.skip(str(problem))

    return require


@pytest.fixture(autouse=True)
def seeds_of_the_test(request):
    """Nets that are given no seed get one that depends on the test alone."""
    if not request.config.getoption("--random"):
        rng.set_random_seed(zlib.crc32(request.node.nodeid.encode()))


@pytest.fixture
def all_threads():
    """Kernels of this test use all threads, for which they are compiled once more."""
    import numba  # not sooner than `pytest_configure` has said how many threads there are

    before = numba.get_num_threads()
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    yield
    numba.set_num_threads(before)


@pytest.fixture
def folder_of_a_run(tmp_path, monkeypatch):
    """The current folder; what `caffelite run` changes of this process is undone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr("caffelite.own_code._folders", [])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("caffe", "IPython"):
            del sys.modules[name]


def _fresh_log():
    logger = logging.getLogger("caffelite")
    logger.setLevel(logging.NOTSET)
    logger.propagate = True
    logger.handlers.clear()
    set_verbosity(0)


@pytest.fixture(autouse=True)
def log_of_the_test():
    """Leave nothing of what commands that run in this process set up for their own log."""
    _fresh_log()
    yield
    _fresh_log()


def pytest_collection_finish(session):
    """Leave loops to one thread, unless slow tests run, too: half of what would be compiled.

    Spare the garbage collector what stays until the end: tens of thousands of tests.
    """
    numba = sys.modules.get("numba")
    if numba and not session.config.getoption("--runslow"):
        numba.set_num_threads(1)
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)  # a twentieth of the time went into collecting


@pytest.fixture
def plans_of_same_bits(all_threads, monkeypatch):
    """A function of x, w, dy and the options of a convolution: {threads: its plan}, for one thread
    and for all, whose three products have been the same to the bit."""
    import numba
    import numpy as np

    from caffelite.kernels import _problem, convolve, plan

    monkeypatch.setattr(_problem, "ALONE", 0)

    def run(x, w, dy, *options):
        plans, results = {}, []
        for threads in 1, numba.get_num_threads():
            monkeypatch.setattr(plan, "thread_count", lambda work, threads=threads: threads)
            plans[threads] = plan.plan_convolution(x.shape, w.shape, dy.shape, *options, 4)
            y, dx, dw = np.empty_like(dy), np.empty_like(x), np.zeros_like(w)
            convolve.forward(x, w, y, *options)
            convolve.backward_input(w, dy, dx, *options)
            convolve.backward_weight(x, dy, dw, *options)
            results.append((y, dx, dw))
        for one, several in zip(*results, strict=True):
            np.testing.assert_array_equal(one, several)
        return plans

    return run
