"""The one place where numba options are set."""

import logging
import os
import sys
import threading
from types import FunctionType

import numba
import numpy as np
from numba import config
from numba.core import event

from ._cache import KernelCache
from ._compile import compile_kernel
from ._link import provide

__all__ = ["kernel", "prange", "thread_count"]

prange = numba.prange

ALONE = 1 << 21
"""Multiplications up to which one thread does the work, in some 50 us. On an idle machine two would
save half of that; on a busy one, what waits for a thread waits for milliseconds."""
VALUE = 32
"""Multiplications that take about as long as reading and writing a value."""

_PACKAGE = __name__.rpartition(".")[0]


class _CompileNotice(event.Listener):
    """Say, once in a process, what takes long."""

    def on_start(self, started):
        if started.data["dispatcher"].py_func.__module__.startswith(_PACKAGE):
            event.unregister("numba:compile", self)
            logging.getLogger("caffelite").log(
                logging.INFO + 5,  # a notice, which glog.py shows on terminals, too
                "Compiling kernels for this CPU; later runs find them on disk.",
            )

    def on_end(self, ended):
        """Nothing to say."""


event.register("numba:compile", _CompileNotice())


def kernel(function=None, *, parallel=False, part=None, any_order=False, fused=False):
    """Compile on first call and keep the machine code on disk.

    Serial kernels release the GIL and may run in any thread. Kernels with ``parallel=True`` use
    `prange`, see `Parallel`. Where that loop does nothing but call the kernel ``part`` with the
    number of the turn as its last argument, a single turn calls it without another compilation.
    Division by zero follows IEEE rather than Python. Additions keep their written order
    (no fastmath), so the same inputs and thread count give the same bits. ``any_order=True`` lets
    the compiler regroup sums into vector lanes: the same bits each time, on one kind of CPU.
    ``fused=True`` lets it round a * b + c once, where the CPU can.
    """
    if function is None:
        return lambda f: kernel(f, parallel=parallel, part=part, any_order=any_order, fused=fused)
    options = {"fastmath": {*["reassoc"] * any_order, *["contract"] * fused}}
    return Parallel(function, part, options) if parallel else _compiled(function, **options)


class Parallel:
    """A kernel with `prange`, compiled for all threads and for one, each when first wanted.

    One does the work where threads are not worth waking; outside the main thread, since numba's
    workqueue layer allows one caller at a time; and after a fork of a process with OpenMP threads,
    which the child has lost: a parallel kernel would end it.

    What a loop over `prange` needs for itself is made before it, since an exception in it, such as
    MemoryError, would get lost with its thread, and the results with it.
    """

    def __init__(self, function, part, options):
        self.together = _compiled(function, parallel=True, **options)
        if part:
            self.alone = lambda *arguments: part(*arguments, 0)
            return
        # another name, since numba's cache on disk does not look at options
        code, name = function.__code__, function.__name__ + "_alone"
        twin = FunctionType(code, function.__globals__, name, function.__defaults__)
        twin.__module__, twin.__qualname__ = function.__module__, name
        self.alone = _compiled(twin, **options)

    def on(self, threads):
        """The one of the two for so many threads."""
        return self.together if threads > 1 else self.alone

    def __call__(self, *arguments):
        return self.on(threads_over(*arguments))(*arguments)


def read_only(x):
    """x, contiguous, as an array that is not written to, whether its owner may write or not.

    Numba takes the two for different types, and would compile kernels for each.
    """
    x = np.ascontiguousarray(x).view()
    x.flags.writeable = False
    return x


def _compiled(function, **options):
    options |= {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
    compiled = numba.njit(function, **options)
    if not config.DISABLE_JIT:
        compiled._cache = KernelCache(function, provide)
        compile_kernel(compiled)
    return compiled


def thread_count(work):
    """Threads for so many multiplications: 1 if they are few, or where `Parallel` says so."""
    alone = work <= ALONE or config.DISABLE_JIT or _lost_threads
    alone = alone or threading.current_thread() is not threading.main_thread()
    return 1 if alone else numba.get_num_threads()


def threads_over(*arguments):
    """Threads for going once over those of the arguments that are arrays."""
    values = sum(a.size for a in arguments if isinstance(a, np.ndarray))
    return thread_count(values * VALUE)


_lost_threads = False


def _note_fork():
    global _lost_threads
    try:
        _lost_threads = numba.threading_layer() == "omp"
    except ValueError:  # no parallel kernel has run
        _lost_threads = False


if sys.platform == "linux":  # where it is GNU's OpenMP
    os.register_at_fork(after_in_child=_note_fork)
