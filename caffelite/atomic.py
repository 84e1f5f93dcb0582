"""Files that are there whole, or not at all."""

import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress

from .errors import CaffeliteError
from .kept_bytes import path_of
from .types import Path

Data = bytes | bytearray | memoryview

_LONG = 100  # bytes of a name; file systems end at 255, with what passing names add


def write_atomically(path: Path, data: Data | Iterable[Data]) -> None:
    """Make `path` a file of `data`: bytes, or an iterable of bytes.

    Whoever reads `path` meanwhile, or after a crash, finds the old file or the new one.
    """
    write_all_atomically({path: data})


def write_all_atomically(contents: Mapping[Path, Data | Iterable[Data]]) -> None:
    """Make files of {path: data}; the first takes its place when all of them are on disk."""
    passing: dict[Path, tuple[str, str]] = {}
    try:
        for name, data in contents.items():
            path = path_of(name)
            chunks = [data] if isinstance(data, (bytes, bytearray, memoryview)) else data
            with named_in_errors(path):
                if os.path.exists(path) and not os.path.isfile(path):  # /dev/stdout, a pipe, ...
                    with open(path, "wb") as file:
                        file.writelines(chunks)
                    continue
                target = os.path.realpath(path)
                passing[path] = make_passing(target), target
                with open(passing[path][0], "wb") as file:
                    file.writelines(chunks)
                _finish(*passing[path])
        for path, (temporary, target) in passing.items():
            with named_in_errors(path):
                os.replace(temporary, target)
    except BaseException:
        for temporary, _ in passing.values():
            with suppress(OSError):
                os.unlink(temporary)
        raise
    for folder in {os.path.dirname(target) for _, target in passing.values()}:
        _sync_directory(folder)


def make_passing(target: str) -> str:
    """Make an empty file beside `target`, to be filled and then to take its place."""
    folder, name = os.path.split(target)
    handle, passing = tempfile.mkstemp(prefix=passing_start(name), suffix=".part", dir=folder)
    os.close(handle)
    return passing


def is_passing(entry: str, name: str) -> bool:
    """Whether a file beside one of the name `name` was made to take its place."""
    return re.fullmatch(rf"{re.escape(passing_start(name))}\w{{8}}\.part", entry) is not None


def passing_start(name: str) -> str:
    """What passing names begin with: the name, or of a long one its start and its checksum."""
    raw = os.fsencode(name)
    if len(raw) > _LONG:
        name = f"{os.fsdecode(raw[:_LONG]).encode(errors='ignore').decode()}~{zlib.crc32(raw):08x}"
    return f".{name}."


def take_place(passing: str, target: str) -> None:
    """Put the file `passing`, which is whole and closed by now, in the place of `target`."""
    _finish(passing, target)
    os.replace(passing, target)
    _sync_directory(os.path.dirname(target))


def _finish(passing: str, target: str) -> None:
    """Give a file the permissions that `target` is to have, and see it on disk."""
    os.chmod(passing, _permissions(target))
    with open(passing, "rb+") as file:
        os.fsync(file.fileno())


def _permissions(target: str) -> int:
    """Those of the file replaced, else those a new file gets."""
    if os.path.exists(target):
        return os.stat(target).st_mode & 0o777
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask


def _sync_directory(folder: str) -> None:
    """Make the new name outlive a power cut, on systems that can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def named_in_errors(path: Path) -> Iterator[None]:
    """Say of `path` that it cannot be written where the system says so."""
    try:
        yield
    except OSError as problem:
        raise CaffeliteError(f"{path}: cannot be written: {problem.strerror}") from None


@contextmanager
def written_together(*paths: Path) -> Iterator[dict[Path, str]]:
    """{path: a passing name to make that file or folder under}; all take their places, or none.

    What is there already is not replaced: that is an error before anything is written.
    """
    places: set[str] = set()
    for path in paths:
        if os.path.lexists(path):
            raise CaffeliteError(f"{path}: exists already; remove it, or choose another name")
        if (place := os.path.abspath(path)) in places:
            raise CaffeliteError(f"{path}: is to be made twice; choose different names")
        places.add(place)
    passing: dict[Path, str] = {}
    made: list[str] = []
    new: list[str] = []
    try:
        for path in paths:
            with named_in_errors(path):
                folder, name = os.path.split(os.path.abspath(path))
                if not os.path.exists(folder):
                    new.append(folder)
                    os.makedirs(folder)
                made.append(tempfile.mkdtemp(prefix=passing_start(name), dir=folder))
                passing[path] = os.path.join(made[-1], name)
        yield passing
        _move_all(passing)
    except CaffeliteError as problem:
        text = str(problem)
        for path, name in passing.items():
            text = text.replace(name, os.fspath(path))
        raise type(problem)(text) from None
    finally:
        for folder in made:
            shutil.rmtree(folder, ignore_errors=True)
        for folder in new:
            with suppress(OSError):  # it holds what was made
                os.rmdir(folder)


def _move_all(passing: Mapping[Path, str]) -> None:
    moved: list[Path] = []
    try:
        for path, name in passing.items():
            with named_in_errors(path):
                os.rename(name, path)
                moved.append(path)
    except BaseException:
        for path in moved:
            os.rename(path, passing[path])
        raise
