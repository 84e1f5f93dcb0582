"""Machine code on disk: a file for each kernel, signature and kind of processor.

Numba has a cache of its own, but trusts it: a file that a power cut has left empty or cut off, a
full disk, or a folder that cannot be written to ends in an exception, and where the index is newer
than the code it names, in the code of another source. Here a file carries a checksum and a stamp of
the sources it was made from. Damaged files are named, removed and made anew; where nothing can be
kept, kernels are compiled for this process alone, and that is said once.
"""

import hashlib
import inspect
import logging
import os
import pickle
import platform
import sys
import tempfile
from contextlib import suppress
from functools import cache
from types import ModuleType

import llvmlite
import numba
from numba import config
from numba.core.compiler import CompileResult
from numba.core.runtime import rtsys
from numba.core.serialize import dumps

from ..environment import user_cache

log = logging.getLogger("caffelite")

PREFIX = "caffelite_"
"""How the names of linked functions begin, see `_link.py`."""

_PACKAGE = __name__.rpartition(".")[0]
_DIGEST = 16  # bytes
_VERSIONS = numba.__version__, llvmlite.__version__, platform.python_version()


def cache_folder():
    """Where machine code is kept: in the user's cache folder, unless NUMBA_CACHE_DIR says where.

    Beside the sources, where numba would keep it, it outlives an uninstall: what is left of the
    package's folder then hides a version that is installed as editable.
    """
    return config.CACHE_DIR or user_cache()


class KernelCache:
    """What numba asks for the machine code of one function before it compiles, and gives it after.

    With the code of a kernel go the names of the linked functions it calls: `provide`, called with
    each, makes sure that they are there before the code is.
    """

    def __init__(self, function, provide):
        self._function, self._provide = function, provide
        source = inspect.getfile(function)
        place = hashlib.sha1(os.path.dirname(os.path.abspath(source)).encode()).hexdigest()
        self.cache_path = os.path.join(cache_folder(), f"kernels_{place}")
        self.stamp = _stamp(function.__module__)

    def path(self, signature, codegen):
        """The file for arguments of these types on the processor that is compiled for."""
        line = self._function.__code__.co_firstlineno
        key = _digest(repr((_VERSIONS, codegen.magic_tuple(), str(signature), line)).encode())
        module = self._function.__module__.rpartition(".")[2]
        name = f"{module}.{self._function.__qualname__}-{key.hex()}.nbc"
        return os.path.join(self.cache_path, name.replace("<", "").replace(">", ""))

    def load_overload(self, signature, target_context):
        """The compiled function, or None if it has to be compiled."""
        rtsys.initialize(target_context)  # what code needs to run; to make it, numba loads far more
        content = self._read(self.path(signature, target_context.codegen()))
        if content is None:
            return None
        symbols, reduced = pickle.loads(content)
        for symbol in symbols:
            self._provide(symbol)
        compiled = CompileResult._rebuild(target_context, *reduced)
        compiled.library._shared_module.close()  # LLVM's code, of which nothing is made any more
        return compiled

    def save_overload(self, signature, compiled):
        """Keep a compiled function."""
        if compiled.lifted or compiled.library.has_dynamic_globals:
            return  # code that holds for this process alone
        try:
            content = dumps((_linked_symbols(compiled.library), compiled._reduce()))
        except RuntimeError as problem:
            # numba has lost the object code, as when a signal comes while it is made
            _say_once(f"machine code cannot be kept ({problem}); the next run compiles it anew")
            return
        self._write(self.path(signature, compiled.target_context.codegen()), content)

    def flush(self):
        """Nothing is held back, so there is nothing to do; numba asks for it."""

    def _read(self, path):
        """What `_write` was given, if it is whole and of today's sources; else None."""
        try:
            with open(path, "rb") as file:
                head, content = file.read(2 * _DIGEST), file.read()
        except FileNotFoundError:
            return None
        except OSError as problem:
            _say_not_kept(path, problem)
            return None
        if head == _head(head[_DIGEST:], content):
            return content if head[_DIGEST:] == self.stamp else None
        log.warning("%s: the machine code in it is damaged; it is removed and made anew", path)
        with suppress(OSError):  # it stays damaged, and will be found so again
            os.unlink(path)
        return None

    def _write(self, path, content):
        """Without waiting for the disk: of what a power cut leaves, the checksum tells."""
        try:
            os.makedirs(self.cache_path, exist_ok=True)
            handle, passing = tempfile.mkstemp(suffix=".part", dir=self.cache_path)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(_head(self.stamp, content))
                    file.write(content)
                os.replace(passing, path)
            except BaseException:
                with suppress(OSError):
                    os.unlink(passing)
                raise
        except OSError as problem:
            _say_not_kept(path, problem)


def _head(stamp, content):
    return _digest(stamp + content) + stamp


def _digest(content):
    return hashlib.blake2b(content, digest_size=_DIGEST).digest()


@cache
def _say_once(text):
    log.warning("%s", text)


def _say_not_kept(path, problem):
    folder = os.path.dirname(path)
    reason = problem.strerror or problem
    _say_once(f"{folder}: machine code cannot be kept here ({reason}); every run compiles anew")


def _linked_symbols(library):
    """Names of the linked functions that a compiled library calls."""
    return [
        function.name
        for function in library._final_module.functions
        if function.is_declaration and function.name.startswith(PREFIX)
    ]


def _stamp(module):
    """A digest of a module's source and of those of the kernel modules that it uses.

    Numba inlines callees from other files, so edits there count, too. Sources are read while the
    module is imported: what is edited later is not what this process runs.
    """
    sources = [_source(name) for name in sorted({module, *kernel_modules(module)})]
    return _digest("\0".join(sources).encode())


@cache
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
def _source(module):
    loader = getattr(sys.modules[module].__spec__, "loader", None)
    return getattr(loader, "get_source", lambda name: "")(module) or ""
