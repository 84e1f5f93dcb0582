"""How the records of a data set are stored: in one LMDB, or in shards, LMDBs or tars."""

import contextlib
import io
import os
import re
import tarfile
from dataclasses import dataclass

from .. import file_kind
from ..atomic import named_in_errors, written_together
from ..errors import DataError
from ..proto.caffe_pb2 import Datum
from .datum import pixels, records_of
from .image import encode
from .lmdb import COMMIT_BYTES, LmdbWriter
from .shards import pattern_of, shard_names
from .tar import LABEL

MOST_SHARDS = 400  # written at once: each takes up to two of a process's open files, of often 1024
MOST_NAME = 80  # bytes of a picture's name that its name in a tar keeps


@dataclass(frozen=True)
class Layout:
    """Where the records of a part go.

    shards : how many there are; 0 is one database, or tar, without a number
    tar : they are tars, not LMDBs
    """

    shards: int = 0
    tar: bool = False

    def names(self, database):
        """The files, or folders, of the records that else were the LMDB of this name."""
        name = self._name(database)
        return shard_names(name, self.shards) if self.shards else [name]

    def source(self, database):
        """What a data layer names as its source for them."""
        name = self._name(database)
        return pattern_of(name, self.shards) if self.shards else name

    def _name(self, database):
        number = "-{}" * bool(self.shards)
        return f"{database.removesuffix('_lmdb')}{number}.tar" if self.tar else database + number

    def write(self, database, source, progress=iter):
        """Store the samples in a pass of a source, as `write_database` does; nothing is replaced.

        `progress` wraps the iteration.
        """
        paths = self.names(database)
        with written_together(*paths) as passing:
            with self.writer([passing[path] for path in paths]) as records:
                for key, value in progress(records_of(source)):
                    records.put(key, value)

    @contextlib.contextmanager
    def writer(self, paths):
        """What put(key, value) adds records to, which go round the shards at these paths."""
        with contextlib.ExitStack() as stack:
            if self.tar:
                made = [TarWriter(path) for path in paths]
            else:
                made = [LmdbWriter(path, COMMIT_BYTES // len(paths)) for path in paths]
            shards = [stack.enter_context(writer) for writer in made]
            records = _RoundTheShards(shards)
            yield records
            if 0 < records.count < len(shards):
                raise DataError(
                    f"{len(shards)} shards, but {records.count} records: some would be empty; make "
                    "fewer shards"
                )


ONE_DATABASE = Layout()


class _RoundTheShards:
    """Gives each shard a record in turn: read round the shards, they come in their old order."""

    def __init__(self, shards):
        self.shards, self.count = shards, 0

    def put(self, key, value):
        """Add a record."""
        self.shards[self.count % len(self.shards)].put(key, value)
        self.count += 1


class TarWriter:
    """Makes a tar of pictures and labels, as TarSource reads it; use as a context manager.

    Pictures that are stored as pixels become PNGs, others stay as they are. The same records make
    the same bytes.
    """

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(named_in_errors(self.path))
        self._tar = self._stack.enter_context(
            tarfile.open(self.path, "x", format=tarfile.PAX_FORMAT, encoding="utf-8")
        )
        return self

    def put(self, key, value):
        """Add a record, a Datum; no key comes twice, which nobody looks after here."""
        datum = Datum.FromString(value)
        if not datum.encoded and not datum.data:
            raise DataError(f"{key!r}: holds floats, and a tar holds pictures; make an LMDB")
        data = datum.data if datum.encoded else encode(pixels(datum), "png")
        name = _name(key)
        self._add(f"{name}.{_ending(data)}", data)
        self._add(f"{name}.{LABEL}", b"%d" % datum.label)

    def _add(self, name, data):
        head = tarfile.TarInfo(name)
        head.size = len(data)
        self._tar.addfile(head, io.BytesIO(data))

    def __exit__(self, *problem):
        self._stack.__exit__(*problem)


def _name(key):
    """The name of a sample's files: a key without its ending, and with no dot or slash."""
    stem = os.path.splitext(key)[0].decode("utf-8", "replace")
    return re.sub(r"[^\w-]+", "_", stem, flags=re.ASCII)[:MOST_NAME]


def _ending(data):
    kind = file_kind.of_head(data[: file_kind.HEAD])
    name = kind.name.lower() if kind else "picture"
    return {"jpeg": "jpg", "tiff": "tif"}.get(name, name)
