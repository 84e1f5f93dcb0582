"""LevelDB databases, which Caffe's tools write, too; needs the extra [leveldb]."""

import os
import shutil
import tempfile
import weakref

from ..errors import DataError, missing_extra

_OF_A_PROCESS = ("LOCK", "LOG", "LOG.old")


class LevelDbSource:
    """The records of a database in key order, by number; after the last comes the first again.

    Going on to the next record is free, any other number walks the keys. Nothing is written into
    the database: LevelDB, which tidies up where it opens, is given a passing folder of links.
    """

    def __init__(self, path):
        self.path = os.fspath(path)
        _check(self.path)
        try:
            import plyvel
        except ImportError:
            raise missing_extra("plyvel", "leveldb") from None
        self._error = plyvel.Error
        links = tempfile.mkdtemp(prefix="caffelite.")
        self._remove_links = weakref.finalize(self, shutil.rmtree, links, ignore_errors=True)
        for name in os.listdir(self.path):
            if name not in _OF_A_PROCESS:
                source = os.path.join(os.path.abspath(self.path), name)
                os.symlink(source, os.path.join(links, name))
        try:
            self._database = plyvel.DB(links)
        except plyvel.Error as problem:
            raise DataError(f"{self.path}: cannot be read as a LevelDB: {problem}") from None
        self._length = None  # not known before the last record is reached
        self._rewind()
        if self._next() is None:
            raise DataError(f"{self.path}: the database is empty")

    def __len__(self):
        if self._length is None:
            with self._database.iterator(include_value=False) as keys:
                self._length = sum(1 for _ in keys)
        return self._length

    def record(self, index):
        """(key, value), as bytes, of record `index`; `at` is its number within the database."""
        if self._length is not None:
            index %= self._length
        if index < self.at:
            self._rewind()
        while self.at < index:
            if self._next() is None:
                self._length = self.at + 1
                return self.record(index)
        return self._item

    def _rewind(self):
        self._records = self._database.iterator(verify_checksums=True)
        self.at, self._item = -1, None

    def _next(self):
        """Go on by one record; None, and no further, at the end."""
        try:
            item = next(self._records, None)
        except self._error as problem:
            raise DataError(
                f"{self.path}: record {self.at + 1} cannot be read: {problem}"
            ) from None
        if item is not None:
            self.at, self._item = self.at + 1, item
        return item

    def close(self):
        """Close the database."""
        self._records = None
        self._database.close()
        self._remove_links()


def _check(path):
    if not os.path.exists(path):
        place = "" if os.path.isabs(path) else f" (looked for from {os.getcwd()})"
        raise DataError(f"{path}: no such directory{place}")
    if os.path.isfile(os.path.join(path, "data.mdb")):
        raise DataError(f"{path}: is an LMDB; write backend: LMDB (without it, LEVELDB is meant)")
    if not os.path.isfile(os.path.join(path, "CURRENT")):
        raise DataError(f"{path}: expected a LevelDB, a directory that holds CURRENT")
