"""The one place where numba options are set."""

import logging
import os
import sys
import threading
from contextlib import contextmanager
from functools import partial

import numba
import numpy as np
from numba import config
from numba.core import event

from ._cache import KernelCache
from ._compile import compile_kernel
from ._launch import launcher, parallel_for, run_parts
from ._link import provide
from ._tape import note

__all__ = ["kernel", "prange", "thread_count"]

ALONE = 1 << 21
"""Multiplications up to which one thread does the work, in some 50 us. On an idle machine two would
save half of that; on a busy one, what waits for a thread waits for milliseconds."""
VALUE = 32
"""Multiplications that take about as long as reading and writing a value."""

_PACKAGE = __name__.rpartition(".")[0]
_COMMON = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}


class _NextCompilation(event.Listener):
    """Call functions when a kernel begins to be compiled, each once."""

    def __init__(self):
        self.then = []

    def on_start(self, started):
        if started.data["dispatcher"].py_func.__module__.startswith(_PACKAGE):
            while self.then:
                self.then.pop(0)()

    def on_end(self, ended):
        """Nothing to do."""


_next = _NextCompilation()
event.register("numba:compile", _next)


def at_next_compilation(then):
    """Call `then()` when the next kernel is not found on disk, before it is compiled."""
    _next.then.append(then)


def _say_what_takes_long():
    logging.getLogger("caffelite").log(
        logging.INFO + 5,  # a notice, which glog.py shows on terminals, too
        "Compiling kernels for this CPU; later runs find them on disk.",
    )


at_next_compilation(_say_what_takes_long)


def kernel(function=None, *, parallel=False, any_order=False, fused=False):
    """Compile on first call and keep the machine code on disk.

    Serial kernels release the GIL and may run in any thread. Kernels with ``parallel=True`` are cut
    in shares that threads compute, see `Parallel`.
    Division by zero follows IEEE rather than Python. Additions keep their written order
    (no fastmath), so the same inputs and thread count give the same bits. ``any_order=True`` lets
    the compiler regroup sums into vector lanes: the same bits each time, on one kind of CPU.
    ``fused=True`` lets it round a * b + c once, where the CPU can.
    """
    if function is None:
        return lambda f: kernel(f, parallel=parallel, any_order=any_order, fused=fused)
    options = {"fastmath": {*["reassoc"] * any_order, *["contract"] * fused}}
    return Parallel(function, options) if parallel else _compiled(function, **options)


class Parallel:
    """A kernel whose last parameter is a share, (part, parts): it computes that part of the whole.

    Callers leave it out. ``on(parts)`` computes all parts, on as many threads as numba has, or one
    after the other in the calling thread while another has them, as numba's workqueue layer allows
    one caller at a time, and after a fork of a process with OpenMP threads, which the child has
    lost. Results are the same bits either way.
    """

    def __init__(self, function, options):
        self.py_func = function
        if config.DISABLE_JIT:
            self.run = run_parts(function)
        else:
            body = numba.njit(function, **_COMMON, **options)
            self.run = _compiled(launcher(function, compile_kernel(body)))

    def on(self, parts):
        """The kernel in so many parts."""
        return partial(self._launch, parts)

    def __call__(self, *arguments):
        self._launch(threads_over(*arguments), *arguments)

    def _launch(self, parts, *arguments):
        note(self, parts, arguments)
        with lent_threads(parts > 1) as (threads, address):
            self.run(*arguments, parts, threads, address, 0)

    def record(self, parts, *arguments):
        """The record of a call, see `_launch.py`; arrays among the arguments must outlive it."""
        needed = 1 << 10
        while True:
            room = np.empty(-(-needed // 8), np.int64)
            room[0] = room.nbytes
            needed = self.run(*arguments, parts, 1, 0, room.ctypes.data)
            if needed <= room.nbytes:
                return room


def run_no_kernels():
    """From now on `Parallel` kernels fill nothing in this process.

    Returns a list that gets a function for each that is called for new types of arguments, which
    compiles it for these.
    """
    compilations, known = [], set()

    def launch(kernel, parts, *arguments):
        types = tuple(map(numba.typeof, (*arguments, parts, 1, 0, 0)))
        if (kernel, types) not in known:
            known.add((kernel, types))
            compilations.append(partial(kernel.run.compile, types))

    Parallel._launch = launch
    return compilations


def read_only(x):
    """x, contiguous, as an array that is not written to, whether its owner may write or not.

    Numba takes the two for different types, and would compile kernels for each.
    """
    x = np.ascontiguousarray(x).view()
    x.flags.writeable = False
    return x


def _compiled(function, **options):
    compiled = numba.njit(function, **_COMMON, **options)
    if not config.DISABLE_JIT:
        compiled._cache = KernelCache(function, provide)
        compile_kernel(compiled)
    return compiled


@kernel
def prange(count, share):
    """Of range(count), the turns that fall to a share."""
    part, parts = share
    return range(part * count // parts, (part + 1) * count // parts)


def thread_count(work):
    """Parts for so many multiplications: 1 if they are few, or where there are no threads."""
    return numba.get_num_threads() if work > ALONE and _has_threads() else 1


def threads_over(*arguments):
    """Parts for going once over those of the arguments that are arrays."""
    values = sum(a.size for a in arguments if isinstance(a, np.ndarray))
    return thread_count(values * VALUE)


_in_use, _lost_threads = threading.Lock(), False


@contextmanager
def lent_threads(wanted):
    """(how many threads to use, `parallel_for()`): numba's, if they are wanted and free, or one."""
    if not (wanted and _has_threads() and _in_use.acquire(blocking=False)):
        yield 1, 0
        return
    try:
        yield numba.get_num_threads(), parallel_for()
    finally:
        _in_use.release()


def _has_threads():
    return not (config.DISABLE_JIT or _lost_threads)


def _note_fork():
    global _in_use, _lost_threads
    _in_use = threading.Lock()  # whoever had it has stayed in the other process
    try:
        _lost_threads = numba.threading_layer() == "omp"
    except ValueError:  # no parallel kernel has run
        _lost_threads = False


if sys.platform == "linux":  # where it is GNU's OpenMP
    os.register_at_fork(after_in_child=_note_fork)
