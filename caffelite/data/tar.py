"""Tars of pictures and labels, as WebDataset has them: a source of records.

The files of a sample follow one another and have one name up to the first dot behind its folders,
which is the sample's key: `000123.jpg`, its picture, and `000123.cls`, its label as text, a whole
number. Files of other kinds, such as `000123.json`, are passed over.

A tar is read in order, by its heads alone, when it is opened first (see `tar_index`); pictures are
read where they lie, when they are asked for. Nothing is ever unpacked, and no name in a tar becomes
a path.
"""

import os
import tarfile
from typing import NamedTuple

import numpy as np

from .. import file_kind, reading
from ..errors import DataError, short
from ..kept_bytes import path_of, way_out
from ..proto.caffe_pb2 import Datum
from . import tar_index
from .picture_file import is_picture_name
from .source import RecordSource

MOST_HEAD = 1 << 16  # bytes of a name, or of what else a head says, that are read at once
MOST_LABEL = 64  # bytes of a label's file
LABEL = "cls"
_BLOCK = 512
_PIECE = 1 << 20


class TarSource(RecordSource):
    """The samples in a tar; a sample is (key, value), both bytes, the value a Datum.

    The Datum has the picture as the file that it is, and the label. The tar is open only while a
    picture is read: there may be thousands of them. With `anew`, an index that was kept is not
    believed.
    """

    def __init__(self, path, anew=False):
        self.path = path_of(os.fspath(path))
        _check(self.path)
        with reading.opened(self.path, "rb", piped=False) as file:
            self._stamp = _stamp(file)
            index = None if anew else tar_index.load(self.path, self._stamp)
            if index is None:
                index = _index(file, self.path)
                tar_index.keep(self.path, self._stamp, *index)
        self._keys, self._places, self._labels = index

    def __len__(self):
        return len(self._keys)

    def sample(self, number):
        """(key, value) of record `number` modulo the length."""
        index = number % len(self)
        if self.in_turn and index < self.at:
            self.log_restart()
        self.at, key = index, self._keys[index]
        datum = Datum(data=self._read(index), label=int(self._labels[index]), encoded=True)
        return key, datum.SerializeToString()

    def _read(self, index):
        start, size = self._places[index].tolist()
        with reading.opened(self.path, "rb", piped=False, buffering=0) as file:
            if _stamp(file) != self._stamp:
                raise DataError(f"{self.path}: is another file than when it was opened")
            file.seek(start)
            data = file.read(size)
        if len(data) != size:
            raise DataError(f"{self.path}: record {index} has {size} bytes, but {len(data)} came")
        return data


class _Sample(NamedTuple):
    key: bytes
    picture: tuple  # where it starts, how many bytes it has
    label: int


def _check(path):
    if not os.path.exists(path):
        place = "" if os.path.isabs(path) else f" (looked for from {os.getcwd()})"
        raise DataError(f"{path}: no such file{place}{way_out(path)}")
    kind = file_kind.of(path)
    if kind is not None and kind.name in ("LMDB", "LevelDB"):
        raise DataError(f"{path}: is {kind.what}; write backend: {kind.name.upper()}, not TAR")
    if kind is None or kind.name not in ("tar", "zeros"):  # zeros are a tar without a file
        raise file_kind.mistake(path, "a tar", DataError, "expected a tar, not packed any further")


def _stamp(file):
    """What changes when a file is replaced."""
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _index(file, path):
    """(keys, places of pictures, labels) of all samples."""
    samples = list(_samples(file, path))
    if not samples:
        raise DataError(f"{path}: has no pictures, expected files as 000123.jpg and 000123.{LABEL}")
    return (
        [sample.key for sample in samples],
        np.array([sample.picture for sample in samples], np.int64),
        np.array([sample.label for sample in samples], np.int32),
    )


def _samples(file, path):
    """Yield a _Sample for each group of files that holds a picture or a label."""
    seen, group, at = set(), None, 0
    for member in _members(file, path):
        key, kind = _name(member, path)
        if kind is None:
            continue
        if group is not None and group.key != key:
            if group.files:
                yield group.sample(at)
                at += 1
            group = None
        if group is None:
            if key in seen:
                raise DataError(
                    f'{path}: the key "{_shown(key)}" comes twice: the files of a sample follow '
                    "one another, and no other sample has their name"
                )
            seen.add(key)
            group = _Group(file, path, key)
        group.add(member, kind)
    if group is not None and group.files:
        yield group.sample(at)


def _name(member, path):
    """(key, kind) by a member's name: "picture", LABEL, "other"; None for what is no sample's."""
    name = member.name
    if name.startswith("/") or ".." in name.split("/"):
        raise DataError(
            f'{path}: has a file "{short(name)}", whose name leads out of the tar; nobody would '
            "unpack it there, but such a tar was not made to be read as data"
        )
    folder, slash, base = name.rpartition("/")
    stem, dot, ending = base.partition(".")
    if member.isdir() or not (stem and dot):
        return None, None
    if not member.isreg() or member.issparse():
        raise DataError(f'{path}: "{short(name)}" is a link, or the like; expected plain files')
    ending = ending.lower()
    picture = "." not in ending and is_picture_name(base)
    key = (folder + slash + stem).encode("utf-8", "surrogateescape")
    return key, "picture" if picture else ending if ending == LABEL else "other"


class _Group:
    """The files of a sample."""

    def __init__(self, file, path, key):
        self.file, self.path, self.key, self.files = file, path, key, {}

    def add(self, member, kind):
        """Take a file in."""
        if kind == "other":
            return
        if kind in self.files:
            first, second = self.files[kind].name, member.name
            raise DataError(
                f"{self.path}: two files are the {'label' if kind == LABEL else kind} of "
                f'"{_shown(self.key)}": "{short(first)}" and "{short(second)}"'
            )
        self.files[kind] = member

    def sample(self, at):
        """The _Sample that they are, record `at` of the tar."""
        where = f'{self.path}: record {at} (key "{_shown(self.key)}")'
        for kind, what in (("picture", "a picture"), (LABEL, "a label")):
            if kind not in self.files:
                wanted = f"{os.path.basename(_shown(self.key))}.{'jpg' if kind != LABEL else LABEL}"
                (other,) = self.files.values()
                raise DataError(
                    f'{where}: has no {what[2:]}: expected {what}, "{wanted}" or the like, beside '
                    f'"{short(other.name)}"'
                )
        picture, label = self.files["picture"], self.files[LABEL]
        return _Sample(self.key, (picture.offset_data, picture.size), self._label(label, where))

    def _label(self, member, where):
        if member.size > MOST_LABEL:
            raise DataError(f'{where}: "{short(member.name)}" has {member.size} bytes, no label')
        place = self.file.tell()
        self.file.seek(member.offset_data)
        text = self.file.read(member.size).decode("latin-1")
        self.file.seek(place)
        return reading.integer(text, f'{where}: "{short(member.name)}"', "the label")


class _Heads:
    """A file of which only small pieces are read: a head may declare any number of bytes."""

    def __init__(self, file, path):
        self._file, self._path = file, path
        self.seek, self.tell = file.seek, file.tell

    def read(self, size=-1):
        """The next bytes."""
        if not 0 <= size <= MOST_HEAD:
            raise DataError(
                f"{self._path}: at byte {self.tell()}, a head declares {size:,} bytes for a name, "
                f"expected {MOST_HEAD:,} at most; the tar is damaged"
            )
        return self._file.read(size)


def _members(file, path):
    """Yield the TarInfo of each member; a tar that is cut off or damaged is a DataError."""
    heads, before = _Heads(file, path), "its start"
    try:
        with tarfile.open(fileobj=heads, mode="r:") as tar:
            while (member := tar.next()) is not None:
                tar.members = []  # which would hold all of them
                yield member
                before = f'"{short(member.name)}"'
            _check_end(file, path, tar.offset, before)
    except (tarfile.TarError, ValueError, OverflowError, EOFError, OSError) as problem:
        size = os.fstat(file.fileno()).st_size
        raise DataError(
            f"{path}: is damaged, or was cut off, at or behind {before}, in its {size:,} bytes "
            f"({problem}); fetch or copy it again"
        ) from None


def _check_end(file, path, offset, before):
    """Raise a DataError if what stands where no head was read is not the end: blocks of zeros."""
    file.seek(offset)
    if len(file.read(_BLOCK)) < _BLOCK:
        raise DataError(
            f"{path}: was cut off behind {before}: it lacks the zeros at the end of a tar; fetch "
            "or copy it again"
        )
    file.seek(offset)
    while piece := file.read(_PIECE):
        if piece.count(0) != len(piece):
            place = file.tell() - len(piece.lstrip(b"\0"))
            raise DataError(
                f"{path}: at byte {place}, behind {before}, is neither the head of a file nor the "
                "end of a tar: it is damaged, or several were put together by cat, where tar -A "
                "does it"
            )


def _shown(key):
    return key.decode("utf-8", "backslashreplace")
