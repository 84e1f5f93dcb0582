"""LMDB databases, which Caffe's own tools read and write: a source of records, and a writer.

Their data format is 0.9. They are read by _lmdb_pages.py, which checks each page, and written by
the package lmdb.
"""

import bisect
import contextlib
import logging
import os
import shutil
import tempfile

import lmdb

from ..atomic import passing_start
from ..errors import DataError
from ..kept_bytes import path_of
from ._lmdb_pages import LargeValue, Pages
from .source import RecordSource

log = logging.getLogger("caffelite")

COMMIT_RECORDS = 1000  # records a transaction, as in Caffe's tools
COMMIT_BYTES = 1 << 26  # or this many bytes: an open transaction lives in memory
FIRST_MAP_SIZE = 1 << 24
MOST_TRIES = 1000  # to read what is written meanwhile

# Since version 3 the package knows a second data format, which Caffe cannot read.
_FORMAT = {"lib_version": 0} if hasattr(lmdb.Environment, "lib_version") else {}


class LmdbSource(RecordSource):
    """The records of an LMDB; a sample is (key, value), both bytes.

    Going on to the next record is free; any other is found by its key, or by
    walking from the nearest one before it that was read. Nothing is locked, and no file is made:
    where a transaction ends while records are read, they are read anew from what it left. There
    are as many records as when the database was opened; what is put behind them later counts for
    the next who opens it, as in Caffe, which reads what it opened to the end.
    """

    def __init__(self, path):
        self.path = path_of(os.fspath(path))
        self._pages = Pages(self.path)
        self._length = self._pages.entries
        if self._length == 0:
            self.close()
            raise DataError(f"{self.path}: the database is empty")
        self._moved = False  # whether it was written since
        self._starts, self._keys = [0], [b""]  # numbers of records, and the keys to find them by
        self._seek(0, b"")
        self._whole(self._pages.check_end)

    def __len__(self):
        return self._length

    def sample(self, number):
        """(key, value) of record `number` modulo the length."""
        index = number % self._length
        if self.in_turn and index < self.at:
            self.log_restart()
        if not self._start <= index < self._end:
            self._turn_to(index)
        self.at, place = index, index - self._start
        key, value = self._records.keys[place], self._records.value(place)
        if isinstance(value, LargeValue):
            value = self._whole(self._large, key, value)
        return key, value

    def close(self):
        """Close the file."""
        self._pages.close()

    # Records `_start` to `_end` - 1 are at hand, as they are in `_snapshot`; the next ones have
    # keys from `_after` on.

    def _turn_to(self, index):
        """Have record `index` at hand, with those after it."""
        if index != self._end:
            known = bisect.bisect_right(self._starts, index) - 1
            self._seek(self._starts[known], self._keys[known])
        while index >= self._end:
            self._records = self._whole(self._next_records)
            self._snapshot, self._after = self._pages.snapshot, self._records.keys[-1] + b"\0"
            self._start, self._end = self._end, self._end + len(self._records.keys)
            at = bisect.bisect_left(self._starts, self._start)
            if self._starts[at : at + 1] != [self._start]:
                self._starts.insert(at, self._start)
                self._keys.insert(at, self._records.keys[0])

    def _seek(self, number, key):
        """Let the next record be `number`, and have this key, or the next one after it."""
        self._start = self._end = number
        self._after, self._walk = key, None

    def _next_records(self):
        if self._walk is None:
            self._walk = self._pages.records(self._after)
        records = next(self._walk, None)
        if records is None:
            raise DataError(f"{self.path}: ends after {self._end} records, expected {self._length}")
        return records

    def _large(self, key, value):
        """The bytes of a large value, which has its place in `_snapshot`."""
        if self._snapshot is not self._pages.snapshot:
            records = next(self._pages.records(key), None)
            if records is None or records.keys[0] != key:
                raise DataError(f"{self.path}: the record {key!r} was removed while it was read")
            value = records.value(0)
        return self._pages.large(value) if isinstance(value, LargeValue) else value

    def _whole(self, read, *arguments):
        """What read(*arguments) gives, while no transaction ends; where one does, read anew."""
        for _ in range(MOST_TRIES):
            try:
                found = read(*arguments)
                if not self._pages.moved():
                    return found
            except DataError:
                self._walk = None
                if not self._pages.moved():
                    raise
            self._renew()
        raise DataError(
            f"{self.path}: is written faster than it can be read: {MOST_TRIES} attempts to read a "
            "record were overtaken; wait for the end, or read a copy"
        )

    def _renew(self):
        self._pages.renew()
        self._walk = None
        if self._pages.entries < self._length:
            raise DataError(
                f"{self.path}: had {self._length} records when it was opened, and "
                f"{self._pages.entries} now: it was written while it was read"
            )
        if not self._moved:
            self._moved = True
            log.warning(
                "%s: is written while it is read; what is put behind its %d records is not read "
                "before it is opened again, and what changes among them is read as it is then",
                *(self.path, self._length),
            )


class LmdbWriter:
    """Makes a new database; use as a context manager.

    It is written beside `path` under a passing name and moved there when the block ends well, so
    an interrupted run leaves nothing half-written. Up to `commit_bytes` are kept in memory.
    """

    def __init__(self, path, commit_bytes=COMMIT_BYTES):
        self.path = os.path.abspath(os.fspath(path))
        self._commit_bytes = commit_bytes
        if os.path.lexists(self.path):
            raise DataError(f"{path}: exists already; remove it, or choose another name")
        self._pending, self._pending_bytes = [], 0

    def __enter__(self):
        folder, name = os.path.split(self.path)
        with self._reporting():
            os.makedirs(folder, exist_ok=True)
            self._folder = tempfile.mkdtemp(prefix=passing_start(name), dir=folder)
            try:
                self._environment = lmdb.open(
                    os.fsencode(self._folder),
                    map_size=FIRST_MAP_SIZE,
                    lock=False,
                    sync=False,
                    **_FORMAT,
                )
            except BaseException:
                shutil.rmtree(self._folder, ignore_errors=True)
                raise
        return self

    def put(self, key, value):
        """Add a record; both are bytes, no key comes twice."""
        if not 0 < len(key) <= self._environment.max_key_size():
            raise DataError(
                f"{self.path}: the key {key!r} has {len(key)} bytes, "
                f"expected 1 to {self._environment.max_key_size()}"
            )
        self._pending.append((key, value))
        self._pending_bytes += len(value)
        if len(self._pending) >= COMMIT_RECORDS or self._pending_bytes >= self._commit_bytes:
            self._commit()

    def _commit(self):
        """Write what is pending, doubling the map until it fits."""
        with self._reporting():
            while self._pending:
                try:
                    with self._environment.begin(write=True) as transaction:
                        for key, value in self._pending:
                            if not transaction.put(key, value, overwrite=False):
                                raise DataError(f"{self.path}: the key {key!r} comes twice")
                    self._pending, self._pending_bytes = [], 0
                except lmdb.MapFullError:
                    self._environment.set_mapsize(2 * self._environment.info()["map_size"])

    def __exit__(self, kind, problem, trace):
        try:
            if kind is None:
                self._commit()
                with self._reporting():
                    self._environment.sync(True)
                    self._environment.close()
                    os.chmod(self._folder, 0o777 & ~_umask())  # mkdtemp makes it private
                    os.rename(self._folder, self.path)
        finally:
            self._environment.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    @contextlib.contextmanager
    def _reporting(self):
        try:
            yield
        except (OSError, lmdb.Error) as problem:
            reason = "the disk is full" if _is_full(os.path.dirname(self.path)) else problem
            raise DataError(f"{self.path}: cannot be written: {reason}") from None


def _is_full(folder):
    """LMDB itself reports an input/output error."""
    try:
        return shutil.disk_usage(folder).free < 1 << 16
    except OSError:
        return False


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
