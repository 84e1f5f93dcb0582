"""The one place where numba options are set."""

import hashlib
import logging
import os
import sys
import threading
from contextlib import contextmanager, nullcontext
from functools import cache, wraps
from types import ModuleType

import numba
from numba import config
from numba.core import event

__all__ = ["kernel", "prange", "thread_count"]

prange = numba.prange

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


def kernel(function=None, *, parallel=False, any_order=False, fused=False):
    """Compile on first call and keep the machine code on disk.

    Serial kernels release the GIL and may run in any thread. Kernels with ``parallel=True`` use
    `prange`: numba's workqueue layer allows one caller at a time, who is to be `taking_turns`.
    Division by zero follows IEEE rather than Python. Additions keep their written order
    (no fastmath), so the same inputs and thread count give the same bits. ``any_order=True`` lets
    the compiler regroup sums into vector lanes: the same bits each time, on one kind of CPU.
    ``fused=True`` lets it round a * b + c once, where the CPU can.
    """
    if function is None:
        return lambda f: kernel(f, parallel=parallel, any_order=any_order, fused=fused)
    with kept_in_user_cache():
        compiled = numba.njit(
            function,
            cache=True,
            nogil=True,
            error_model="numpy",
            parallel=parallel,
            fastmath={*["reassoc"] * any_order, *["contract"] * fused},
        )
    if not config.DISABLE_JIT:
        stamp_with_neighbours(compiled, function)
    return compiled


@contextmanager
def kept_in_user_cache():
    """Keep machine code in the user's cache folder, unless NUMBA_CACHE_DIR says where.

    Beside the sources, where numba would keep it, it outlives an uninstall: what is left of the
    package's folder then hides a version that is installed as editable.
    """
    before = config.CACHE_DIR
    config.CACHE_DIR = cache_folder()
    try:
        yield
    finally:
        config.CACHE_DIR = before


def cache_folder():
    """Where machine code is kept."""
    return config.CACHE_DIR or _user_cache()


def _user_cache():
    if sys.platform == "win32":
        root = os.environ.get("LOCALAPPDATA", "~/AppData/Local")
    elif sys.platform == "darwin":
        root = "~/Library/Caches"
    else:
        root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return os.path.join(os.path.expanduser(root), "caffelite")


def thread_count():
    """Threads that a parallel kernel called now may use: 1 outside the main thread."""
    alone = config.DISABLE_JIT or threading.current_thread() is not threading.main_thread()
    return 1 if alone else numba.get_num_threads()


_turn = threading.RLock()


def taking_turns(function):
    """Decorator: one thread at a time runs what has parallel kernels, where numba demands that."""

    @wraps(function)
    def run(*args, **keywords):
        with _turn if _layer() in (None, "workqueue") else nullcontext():
            return function(*args, **keywords)

    return run


def _layer():
    """The threading layer; None before the first parallel kernel."""
    try:
        return numba.threading_layer()
    except ValueError:
        return None


_forked = False


def _note_fork():
    global _forked
    _forked = _layer() == "omp"


if sys.platform == "linux":  # where it is GNU's OpenMP
    os.register_at_fork(after_in_child=_note_fork)


def lost_threads():
    """Whether this process was forked from one with OpenMP threads: a parallel kernel ends it."""
    return _forked


def stamp_with_neighbours(compiled, function):
    """Make the disk cache notice edits in the kernel modules that `function`'s module imports.

    Numba watches the defining file alone, but inlines callees from other files.
    """
    cache_file = getattr(compiled._cache, "_cache_file", None)
    if cache_file is not None:
        neighbours = [_source_digest(name) for name in kernel_modules(function.__module__)]
        cache_file._source_stamp = (cache_file._source_stamp, *neighbours)


def kernel_modules(name):
    """Sorted names of the modules beside this one that module `name` uses, itself included."""
    pending, seen = [name], set()
    while pending:
        name = pending.pop()
        if name not in seen and name.startswith(_PACKAGE + ".") and name in sys.modules:
            seen.add(name)
            for value in list(vars(sys.modules[name]).values()):
                is_module = isinstance(value, ModuleType)
                home = getattr(value, "__name__" if is_module else "__module__", None)
                pending.append(home if isinstance(home, str) else "")
    return sorted(seen)


@cache
def _source_digest(name):
    source = getattr(sys.modules[name].__spec__.loader, "get_source", lambda name: "")(name)
    return hashlib.sha256((source or "").encode()).digest()
