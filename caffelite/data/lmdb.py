"""LMDB databases, the records that Caffe's own tools read and write: data format 0.9."""

import collections
import contextlib
import logging
import os
import shutil
import tempfile
import threading
import weakref
from dataclasses import dataclass

import lmdb

from ..errors import DataError
from . import _lmdb_pages

log = logging.getLogger("caffelite")

COMMIT_RECORDS = 1000  # records a transaction, as in Caffe's tools
COMMIT_BYTES = 1 << 26  # or this many bytes: an open transaction lives in memory
FIRST_MAP_SIZE = 1 << 24

# Since version 3 the package knows a second data format, which Caffe cannot read.
_FORMAT = {"lib_version": 0} if hasattr(lmdb.Environment, "lib_version") else {}


class LmdbSource:
    """The records of a database in key order, by number; record n is record 0 again.

    One thread at a time. Going on to the next record is free, any other number walks the keys.
    """

    def __init__(self, path):
        self.path = os.fspath(path)
        database = _acquire(self.path)
        self._give_back = weakref.finalize(self, _release, database)
        self._give_back.atexit = False
        self._transaction = database.environment.begin()
        self._cursor = self._transaction.cursor()
        self._length = self._transaction.stat()["entries"]
        if self._length == 0:
            self.close()
            raise DataError(f"{self.path}: the database is empty")
        self.at = -1  # number of the record read last, on which the cursor stands

    def __len__(self):
        return self._length

    def record(self, index):
        """(key, value), as bytes, of record `index` modulo the length."""
        index %= self._length
        try:
            if self.at < 0 or index < self.at:
                if self.at > 0:
                    log.info("Restarting data prefetching from start.")
                self._cursor.first()
                self.at = 0
            while self.at < index:
                self._cursor.next()
                self.at += 1
            return self._cursor.item()
        except lmdb.Error as problem:
            raise DataError(f"{self.path}: record {index} cannot be read: {problem}") from None

    def close(self):
        """Give the database back; it closes when its last source does."""
        self._cursor = self._transaction = None
        self._give_back()


# LMDB forbids to open a database twice in one process, but a train and a test net may well read the
# same one: sources share it, and count.

_databases = {}
_lock = threading.Lock()
_released = collections.deque()  # sources end in any thread, even while one holds the lock


@dataclass
class _Database:
    file: tuple  # what identifies it, and its key in _databases
    environment: lmdb.Environment
    users: int = 0


def _acquire(path):
    file = _lmdb_pages.check(path)
    with _lock:
        _close_unused()
        if file not in _databases:
            try:
                environment = lmdb.open(
                    path, readonly=True, lock=False, create=False, max_dbs=0, **_FORMAT
                )
            except lmdb.Error as problem:
                raise DataError(f"{path}: cannot be read as an LMDB: {problem}") from None
            _databases[file] = _Database(file, environment)
        _databases[file].users += 1
        return _databases[file]


def _release(database):
    _released.append(database)
    if _lock.acquire(blocking=False):  # whoever has it, or comes next, will do it otherwise
        try:
            _close_unused()
        finally:
            _lock.release()


def _close_unused():
    while _released:
        database = _released.popleft()
        database.users -= 1
        if database.users == 0:
            del _databases[database.file]
            database.environment.close()


class LmdbWriter:
    """Makes a new database; use as a context manager.

    It is written beside `path` under a passing name and moved there when the block ends well, so
    an interrupted run leaves nothing half-written.
    """

    def __init__(self, path):
        self.path = os.path.abspath(os.fspath(path))
        if os.path.lexists(self.path):
            raise DataError(f"{path}: exists already; remove it, or choose another name")
        self._pending, self._pending_bytes = [], 0

    def __enter__(self):
        folder, name = os.path.split(self.path)
        with self._reporting():
            os.makedirs(folder, exist_ok=True)
            self._folder = tempfile.mkdtemp(prefix=f".{name}.", dir=folder)
            try:
                self._environment = lmdb.open(
                    self._folder, map_size=FIRST_MAP_SIZE, lock=False, sync=False, **_FORMAT
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
        if len(self._pending) >= COMMIT_RECORDS or self._pending_bytes >= COMMIT_BYTES:
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
