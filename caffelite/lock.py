"""Locks that the system keeps on files: they end with their process, however that ends."""

import contextlib
import errno
import logging
import os
import socket
import sys
import threading
from collections.abc import Iterator

from .types import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

log = logging.getLogger("caffelite")

_BEYOND = 1 << 30  # Windows keeps others from reading what is locked: lock behind what is written
_guard = threading.Lock()
_held: dict[
    str, list[int]
] = {}  # {path: [handle, process, how often]}: closing one handle would unlock all of a process


class HeldElsewhere(Exception):
    """Another process holds the lock; the text says which."""


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock on `path`, a file that is made, and removed in the end.

    Within a process it may be held several times. Where the file system has no locks, a warning
    says so, and nothing is locked.
    """
    path = os.path.realpath(path)
    with _guard:
        held = _held.get(path)
        if held is None or held[1] != os.getpid():  # a fork has none of its parent's locks
            held = _held[path] = [_take(path), os.getpid(), 0]
        held[2] += 1
    try:
        yield
    finally:
        with _guard:
            held[2] -= 1
            if not held[2] and held[1] == os.getpid():
                del _held[path]
                _give_back(held[0], path)


def _take(path: str) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(handle)
            if _is_at(handle, path):
                break
            os.close(handle)  # who held it has removed the file meanwhile
        except OSError as problem:
            holder = os.read(handle, 200).decode(errors="replace")
            if problem.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
                os.close(handle)
                raise HeldElsewhere(holder or "another process") from None
            log.warning("%s: cannot be locked: %s", path, problem.strerror)
            break
    with contextlib.suppress(OSError):  # a full disk
        os.ftruncate(handle, 0)
        os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
    return handle


def _lock(handle: int) -> None:
    if sys.platform == "win32":
        os.lseek(handle, _BEYOND, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(handle, 0, os.SEEK_SET)
    else:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_at(handle: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _give_back(handle: int, path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
    os.close(handle)
    if sys.platform == "win32":  # which removes no open file
        with contextlib.suppress(OSError):
            os.unlink(path)
