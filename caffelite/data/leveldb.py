"""LevelDB databases, which Caffe's tools write, too: a source of records, and a writer.

They need the extra [leveldb].
"""

import bisect
import os
import shutil
import struct
import tempfile
import weakref
from contextlib import contextmanager

from .. import file_kind
from ..atomic import written_together
from ..errors import DataError, missing_extra
from ..kept_bytes import path_of, way_out
from ..reading import data, text
from .made import way_to
from .source import RecordSource

_BLOCK = 1 << 15
_MARK = 1 << 14  # bytes between records that are found by their keys
_MOST_TRIES = 10  # to open what is written meanwhile


class LevelDbSource(RecordSource):
    """The records of a LevelDB; a sample is (key, value), both bytes.

    How many there are is not known before the last one was read: to count them takes a pass. Going
    on to the next record is free; any other is found by its key, or by walking from the nearest one
    before it that was read, some KB away. Nothing is written into the database: LevelDB, which
    tidies up where it opens, is given a passing folder. It opens each table when it is reached: one
    that is another by then is an error.
    """

    def __init__(self, path):
        self.path = path_of(os.fspath(path))
        _check(self.path)
        plyvel = _plyvel()
        self._error = plyvel.Error
        folder = tempfile.mkdtemp(prefix="caffelite.")
        self._remove_folder = weakref.finalize(self, _remove, folder, os.getpid())
        self._stamp, self._tables = _link_whole(self.path, folder)
        try:
            self._database = plyvel.DB(folder, paranoid_checks=True)  # what is lost is an error
        except plyvel.Error as problem:
            raise DataError(f"{self.path}: cannot be read as a LevelDB: {problem}") from None
        self._length = None  # not known before the last record is reached
        self._starts, self._keys = [], []  # numbers of records, and the keys to find them by
        self._walked = 0  # bytes since the last of these
        self._go_to(0, b"")
        if self._next() is None:
            raise DataError(f"{self.path}: the database is empty")

    def __len__(self):
        if self._length is None:
            self._turn_to(self._starts[-1])
            while self._next() is not None:
                pass
            self._length = self.at + 1
        return self._length

    def sample(self, number):
        """(key, value) of record `number`; `at` is its place within the database."""
        place = number if self._length is None else number % self._length
        if place < self.at and self.in_turn:
            self.log_restart()
        self._turn_to(place)
        while self.at < place:
            if self._next() is None:
                self._length = self.at + 1
                return self.sample(number)
        return self._item

    def _turn_to(self, index):
        """Stand at or before record `index`, as near as can be without walking."""
        known = bisect.bisect_right(self._starts, index) - 1
        if not self._starts[known] <= self.at <= index:
            self._go_to(self._starts[known], self._keys[known])

    def _go_to(self, number, key):
        """Let the next record be `number`, which has this key."""
        self._records = self._database.iterator(start=key, verify_checksums=True)
        self.at, self._item = number - 1, None

    def _next(self):
        """Go on by one record; None, and no further, at the end."""
        try:
            item = next(self._records, None)
        except self._error as problem:
            raise DataError(
                f"{self.path}: record {self.at + 1} cannot be read: {problem}"
            ) from None
        self._check_tables()
        if item is not None:
            self.at, self._item = self.at + 1, item
            self._mark(*item)
        return item

    def _check_tables(self):
        """Raise a DataError if a table is another than when the database was opened.

        Those that are gone are LevelDB's affair, which keeps open what it has reached.
        """
        now = _stamp(self.path)
        if now == self._stamp:
            return
        for table, stamp in self._tables.items():
            if _stamp(table) not in (None, stamp):
                raise DataError(
                    f"{self.path}: was written anew while it was read: "
                    f"{os.path.basename(table)} is another file than before"
                )
        self._stamp = now

    def _mark(self, key, value):
        """Note where this record is, if it is the first so far and none is near."""
        if self._starts and self.at <= self._starts[-1]:
            return
        if not self._starts or self._walked >= _MARK:
            self._starts.append(self.at)
            self._keys.append(key)
            self._walked = 0
        self._walked += len(key) + len(value)

    def close(self):
        """Close the database."""
        self._records = None
        self._database.close()
        self._remove_folder()


def _remove(folder, process):
    """Remove the passing folder of this process; one that was forked meanwhile leaves it alone."""
    if process == os.getpid():
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def new_leveldb(path):
    """A new database for `with`, whose put(key, value) adds records; there whole, or not at all."""
    plyvel = _plyvel()
    with written_together(path) as passing:
        try:
            with plyvel.DB(passing[path], create_if_missing=True) as database:
                yield database
        except plyvel.Error as problem:
            raise DataError(f"{path}: cannot be written: {problem}") from None


def _plyvel():
    try:
        import plyvel
    except ImportError:
        raise missing_extra("plyvel", "leveldb") from None
    return plyvel


def _check(path):
    if not os.path.exists(path):
        place = "" if os.path.isabs(path) else f" (looked for from {os.getcwd()})"
        raise DataError(f"{path}: no such directory{place}{way_out(path)}{way_to(path)}")
    if os.path.isfile(os.path.join(path, "data.mdb")):
        raise DataError(f"{path}: is an LMDB; write backend: LMDB (without it, LEVELDB is meant)")
    if not os.path.isfile(os.path.join(path, "CURRENT")):
        words = "expected a LevelDB, a directory that holds CURRENT"
        raise file_kind.mistake(path, "a LevelDB (a directory)", DataError, words, ("folder",))


def _stamp(path):
    """What changes when a file is replaced, or the files in a folder; None if it is not there."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _link_whole(path, folder):
    """Link a database while no file comes or goes; (stamp of its folder, {table: its stamp})."""
    for _ in range(_MOST_TRIES):
        stamp = _stamp(path)
        tables = {table: _stamp(table) for table in _link(path, folder)}
        if _stamp(path) == stamp:
            return stamp, tables
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
    raise DataError(f"{path}: is written while it is opened; wait for the end, or read a copy")


def _link(path, folder):
    """Make `folder` the same database, with copies of all but its tables, and links to those.

    Yields the paths of these tables. Only tables in use are linked, those that the manifest names:
    LevelDB overwrites others, which an interrupted program may have left.
    """
    try:
        manifest = text(os.path.join(path, "CURRENT"), most=1000).strip()
        tables = _live_tables(data(os.path.join(path, os.path.basename(manifest))))
        names = os.listdir(path)
        for name in names:
            if name in ("CURRENT", manifest) or name.endswith(".log"):
                shutil.copyfile(os.path.join(path, name), os.path.join(folder, name))
    except (OSError, ValueError, IndexError) as problem:
        raise DataError(f"{path}: cannot be read as a LevelDB: {problem}") from None
    for name in names:
        number, ending = os.path.splitext(name)
        if ending in (".ldb", ".sst") and number.isdecimal() and int(number) in tables:
            table = os.path.join(os.path.abspath(path), name)
            os.symlink(table, os.path.join(folder, name))
            yield table


def _live_tables(manifest):
    """The numbers of the tables in use, according to a manifest: its edits, one after the other.

    An edit is a list of tag and fields: integers of 7 bits a byte, and strings after their length.
    """
    kinds = {1: "s", 2: "n", 3: "n", 4: "n", 5: "ns", 6: "nn", 7: "nnnss", 9: "n"}
    tables = set()
    for edit in _log_records(manifest):
        at = 0
        while at < len(edit):
            tag, at = _number(edit, at)
            if tag not in kinds:
                raise ValueError("its manifest is damaged")
            fields = []
            for kind in kinds[tag]:
                number, at = _number(edit, at)
                at += number if kind == "s" else 0
                fields.append(number)
            if tag == 6:
                tables.discard(fields[1])
            elif tag == 7:
                tables.add(fields[1])
    return tables


def _log_records(log):
    """The records of a LevelDB log, which is blocks of 32 KB.

    A piece of a record: checksum u32, length u16, kind u8 (1 whole, 2 first, 3 middle, 4 last).
    """
    record, at = bytearray(), 0
    while at + 7 <= len(log):
        length, kind = struct.unpack_from("<HB", log, at + 4)
        if kind in (1, 2):
            record = bytearray()
        record += log[at + 7 : at + 7 + length]
        if kind in (1, 4):
            yield record
        at += 7 + length
        if at % _BLOCK > _BLOCK - 7:  # no room for another piece
            at += -at % _BLOCK


def _number(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return value, at
