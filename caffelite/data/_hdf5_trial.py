"""A process that reads HDF5 files first, since libhdf5 may break down in a damaged one, or hang.

This file is its program, too; it stands alone, so that it starts quickly. A request is a line of
JSON: (path, whether to read values as well, PATIENCE). The answer is a line when it begins, and one
at the end. Of values that lie in one piece it reads a sample: nothing leads on to other places.
"""

import contextlib
import faulthandler
import json
import math
import os
import signal
import subprocess
import sys
import threading
from functools import partial

PATIENCE = 60  # seconds for one object, or 64 MB of it
IDLE = 10  # seconds after which the process goes
_PIECE = 1 << 26
_OF_DAMAGE = {
    getattr(signal, name)
    for name in ("SIGSEGV", "SIGBUS", "SIGABRT", "SIGFPE", "SIGILL")
    if hasattr(signal, name)
}
# Deflate packs at most 1032 to 1: a file that declares more than that makes it up. Small datasets
# may stand for themselves, unwritten ones read as zeros.
MOST_PACKED = 1032
SMALL = 1 << 26
USUALLY_PACKED = 100  # to 1, what a large chunk may be
_DEEPEST = 8  # no file of ours, or of Caffe, has as many groups in groups

_START = (
    "import runpy, sys; sys.path[:] = sys.argv[2:]; runpy.run_path(sys.argv[1], None, '__main__')"
)


def made_up(data):
    """What is wrong with the sizes that a dataset declares, by what is stored of it; or ""."""
    size, stored = math.prod(data.shape) * data.dtype.itemsize, data.id.get_storage_size()
    if size > max(SMALL, MOST_PACKED * stored):
        return f"declares {size} bytes, {data.shape}, but only {stored} are stored"
    chunk = math.prod(data.chunks or ()) * data.dtype.itemsize
    if data.id.get_create_plist().get_nfilters() and chunk > max(SMALL, USUALLY_PACKED * stored):
        return (
            f"is packed in chunks of {chunk} bytes, {data.chunks}, which have to be unpacked "
            f"whole, but only {stored} are stored; store it again with smaller chunks"
        )
    return ""


class Trial:
    """The process, which starts with the first file, and again when it is needed again."""

    def __init__(self):
        self._forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self):
        self._lock, self._process, self._passed = threading.Lock(), None, set()

    def failure(self, path, values):
        """How a file ends a process that reads it; None if it does not. It is read once only."""
        status = os.stat(path)
        file = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, values
        with self._lock:
            if file in self._passed:
                return None
            try:
                failure = self._read(os.path.abspath(path), values)
            except BaseException:
                self._end()
                raise
            if failure is None:
                self._passed.add(file)
            return failure

    def _read(self, path, values):
        request = json.dumps((path, values, PATIENCE)) + "\n"
        for _ in range(2):
            if not self._ask(request) and not self._ask(request, anew=True):
                return None  # no other process can be had here, as where Python is built in
            if self._process.stdout.readline():
                return None
            code = self._process.wait()
            if code >= 0:
                reason = f"comes to no end ({PATIENCE} s, exit code {code})"
                return f"it is damaged: a process that reads it {reason}"
            if -code in _OF_DAMAGE:
                return f"it is damaged: {signal.Signals(-code).name} ends a process that reads it"
        # else somebody ended it, which says nothing about the file
        return f"signal {-code} ended, twice, the process that was to try it; is memory short?"

    def _ask(self, request, anew=False):
        """Whether the process took a request."""
        try:
            if anew:
                self._end()
                self._process = subprocess.Popen(
                    [sys.executable, "-c", _START, __file__, *sys.path],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    start_new_session=True,  # Ctrl-C is not for it
                )
            if self._process is None:
                return False
            self._process.stdin.write(request)
            self._process.stdin.flush()
            return bool(self._process.stdout.readline())
        except OSError:
            return False

    def _end(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
            with contextlib.suppress(OSError):  # what it did not take
                self._process.stdin.close()
            self._process = None


def _serve():
    import h5py

    nothing = open(os.devnull, "w")

    def end_after(seconds):
        faulthandler.dump_traceback_later(seconds, exit=True, file=nothing)

    while True:
        end_after(IDLE)
        line = sys.stdin.readline()
        if not line:
            return
        path, values, patience = json.loads(line)
        end_after(patience)
        print("begun", flush=True)
        _read_all(h5py, path, values, partial(end_after, patience))
        print("done", flush=True)


def _read_all(h5py, path, values, on):
    """Do with a file what readers do; what is raised is their affair. `on` runs for each step."""
    with contextlib.suppress(Exception), h5py.File(path, "r") as file:
        with contextlib.suppress(Exception):
            dict(file.attrs)
        seen, pending = set(), [(file, name, 0) for name in reversed(list(file))]
        while pending:
            on()
            with contextlib.suppress(Exception):
                parent, name, depth = pending.pop()
                if not isinstance(parent.get(name, getlink=True), h5py.HardLink):
                    continue
                item = parent[name]
                if isinstance(item, h5py.Dataset):
                    _read_dataset(item, values, on)
                elif depth < _DEEPEST and _address(h5py, item) not in seen:
                    seen.add(_address(h5py, item))
                    pending += [(item, name, depth + 1) for name in reversed(list(item))]


def _address(h5py, group):
    """What tells a group from others; one that does not say is like no other."""
    try:
        return h5py.h5o.get_info(group.id).addr
    except Exception:
        return group


def _read_dataset(data, values, on):
    """Read a dataset in each way that readers do, whatever comes of the others."""
    import numpy as np

    elsewhere = data.external or data.is_virtual
    _ = data.id.get_storage_size(), data.chunks
    if not values or elsewhere or not data.size or made_up(data):
        return  # which no reader reads
    whole = not data.shape or (data.chunks and data.nbytes <= _PIECE)
    sample = () if whole else (slice(0, 1),) * len(data.shape)
    shape = data.shape if whole else (1,) * len(data.shape)
    if data.dtype.kind in "iuf":
        for kind in ("f4", "f8"):
            with contextlib.suppress(Exception):
                data.read_direct(np.empty(shape, kind), sample)
    with contextlib.suppress(Exception):
        _ = data[sample]
    if data.chunks and data.shape:
        row = data.nbytes // len(data)
        step = -(-max(1, (1 << 20) // max(1, row)) // data.chunks[0]) * data.chunks[0]
        for start in range(0, len(data), step):
            on()
            with contextlib.suppress(Exception):
                _ = data[start : start + step]


if __name__ == "__main__":
    _serve()
