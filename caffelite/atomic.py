"""Files that are there whole, or not at all."""

import os
import tempfile
from contextlib import contextmanager, suppress

from .errors import CaffeliteError


def write_atomically(path, data):
    """Make `path` a file of `data`: bytes, or an iterable of bytes.

    Whoever reads `path` meanwhile, or after a crash, finds the old file or the new one.
    """
    chunks = [data] if isinstance(data, (bytes, bytearray, memoryview)) else data
    with _named_in_errors(path):
        if os.path.exists(path) and not os.path.isfile(path):  # /dev/stdout, a pipe, a directory
            with open(path, "wb") as file:
                file.writelines(chunks)
            return
        target = os.path.realpath(path)
        with _replacing(target) as file:
            file.writelines(chunks)
        _sync_directory(os.path.dirname(target))


@contextmanager
def _replacing(target):
    """A file beside `target`, for writing, that takes its place when all went well."""
    folder, name = os.path.split(target)
    handle, temporary = tempfile.mkstemp(prefix=f".{name[:100]}.", suffix=".part", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.chmod(temporary, _permissions(target))
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _permissions(target):
    """Those of the file replaced, else those a new file gets."""
    if os.path.exists(target):
        return os.stat(target).st_mode & 0o777
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask


def _sync_directory(folder):
    """Make the new name outlive a power cut, on systems that can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _named_in_errors(path):
    try:
        yield
    except OSError as problem:
        raise CaffeliteError(f"{path}: cannot be written: {problem.strerror}") from None
