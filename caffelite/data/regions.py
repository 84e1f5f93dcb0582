"""Regions of pictures that may hold an object, found once and kept in a database.

A record has the key of the picture's record, or the name of its file, and a Datum: regions x 1 x 4
float_data, xmin, ymin, xmax, ymax in fractions of the sides, and as its label a checksum of the
picture as it is stored, so that regions of other pictures are refused.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from google.protobuf.message import DecodeError

from .. import reading
from ..errors import DataError
from ..kernels import boxes as geometry
from ..proto.caffe_pb2 import Datum
from ..types import Array, Path
from .annotated import AnnotatedSource, open_database
from .boxes import Boxes
from .datum import pixels
from .image import decode
from .lmdb import LmdbSource, LmdbWriter

MAKES = "caffelite regions makes them"
BEYOND = 1e-4
"""How far beyond the picture a region may reach: it is rounding."""


class Picture(NamedTuple):
    """A picture to find regions of; `boxes` are the true ones, where they are known."""

    key: bytes
    checksum: int
    pixels: Array  # channels x height x width, blue, green, red
    boxes: Boxes | None = None


def checksum(stored: bytes) -> int:
    """That of a picture as it is stored, as an int32."""
    return int(np.uint32(zlib.crc32(stored)).astype(np.int32))


class DatabasePictures:
    """The pictures of a database, one by one."""

    def __init__(self, path: Path) -> None:
        self.source = open_database(path)
        if len(getattr(self.source.records, "sizes", ())) > 1:
            raise DataError(f"{path}: is several databases; give them one by one")

    def __len__(self) -> int:
        return len(self.source.records)

    def name(self, number: int) -> str:
        return self.source.records.name(number)

    def picture(self, number: int) -> Picture:
        key, boxes = self.source.records.sample(number)[0], None
        if isinstance(self.source, AnnotatedSource):
            datum, boxes = self.source.read_record(number)
        else:
            datum = self.source.datum(number)
        with self.source.records.named(number):
            values = pixels(datum, True)
            if values.dtype != np.uint8 or len(values) != 3:
                raise DataError(
                    f"holds {values.dtype} of the shape {values.shape}, expected a picture in "
                    "color, 3 channels of uint8"
                )
        return Picture(key, checksum(datum.data), values, boxes)

    def close(self) -> None:
        self.source.close()


class FilePictures:
    """Picture files, one by one; their keys are their names, without folders."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = list(paths)
        seen: dict[str, str] = {}
        for path in self.paths:
            other = seen.setdefault(os.path.basename(path), path)
            if other is not path:
                raise DataError(
                    f"{other} and {path}: have the same name, by which regions are found again"
                )

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, number: int) -> str:
        return self.paths[number]

    def picture(self, number: int) -> Picture:
        path = self.paths[number]
        stored = reading.data(path)
        try:
            values = decode(stored, True)
        except DataError as problem:
            raise DataError(f"{path}: {problem}") from None
        return Picture(key_of(path), checksum(stored), values)

    def close(self) -> None:
        """Nothing: files are read as a whole."""


def key_of(path: str) -> bytes:
    """The key of a picture file's regions."""
    return os.fsencode(os.path.basename(path))


def write_regions(path: Path, found: Iterable[tuple[bytes, int, Array]]) -> None:
    """Make a database of (key, checksum of the picture, regions n x 4), all of it or nothing."""
    with LmdbWriter(path) as database:
        for key, check, corners in found:
            datum = Datum(channels=len(corners), height=1, width=4, label=check)
            datum.float_data.extend(np.asarray(corners, np.float32).ravel().tolist())
            database.put(key, datum.SerializeToString())


class Regions:
    """The regions in a database that `write_regions` made."""

    def __init__(self, path: Path) -> None:
        self.records = LmdbSource(path)
        self._numbers: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self.records)

    def of_record(self, number: int, key: bytes, stored: bytes, name: str) -> Array:
        """n x 4, those of a picture: the number of its record, its key, its bytes, what it is."""
        if self.records.sample(number)[0] != key:
            raise self._of_others(f"record {number % len(self)} is {self.records.name(number)}")
        return self._regions(number, stored, name)

    def of_file(self, path: str) -> Array:
        """n x 4, those of a picture file."""
        if not self._numbers:
            self._numbers = {self.records.sample(n)[0]: n for n in range(len(self))}
        number = self._numbers.get(key_of(path))
        if number is None:
            raise DataError(
                f"{self.records.path}: has no regions of {os.path.basename(path)}; {MAKES}"
            )
        return self._regions(number, reading.data(path), path)

    def _regions(self, number: int, stored: bytes, picture: str) -> Array:
        name = self.records.name(number)
        try:
            datum = Datum.FromString(self.records.sample(number)[1])
        except DecodeError:
            raise DataError(f"{name}: is not a Datum, or a damaged one; {MAKES}") from None
        shape = datum.height, datum.width
        if datum.data or shape != (1, 4) or 4 * datum.channels != len(datum.float_data):
            raise DataError(
                f"{name}: holds {len(datum.float_data)} values of float_data, of the shape "
                f"{(datum.channels, *shape)}, expected regions x 1 x 4; {MAKES}"
            )
        if datum.label != checksum(stored):
            raise self._of_others(f"{name} has those of another picture than {picture}")
        if not datum.channels:
            raise DataError(f"{name}: has no region")
        corners = np.array(datum.float_data, np.float32).reshape(-1, 4)
        sound = np.isfinite(corners).all(axis=1) & (abs(corners - 0.5) <= 0.5 + BEYOND).all(axis=1)
        sound &= (corners[:, :2] < corners[:, 2:]).all(axis=1)
        if not sound.all():
            row = int(np.argmin(sound))
            told = ", ".join(f"{value:g}" for value in corners[row])
            raise DataError(
                f"{name}: region {row} is {told}, expected xmin, ymin, xmax, ymax in fractions of "
                "the sides, 0 to 1"
            )
        return corners

    def check_length(self, records: int, path: Path) -> None:
        """Raise unless there are regions of that many records."""
        if len(self) != records:
            raise self._of_others(f"it has {len(self)} records, {path} has {records}")

    def _of_others(self, words: str) -> DataError:
        return DataError(f"{self.records.path}: has regions of other pictures: {words}; {MAKES}")

    def close(self) -> None:
        self.records.close()


class Recall:
    """How many of the true boxes some region overlaps by a half at least, as regions come in."""

    def __init__(self) -> None:
        self.boxes = self.found = 0

    def add(self, corners: Array, boxes: Boxes | None) -> None:
        if boxes is None or boxes.difficult.all():
            return
        truth = np.float64(boxes.corners[~boxes.difficult])
        best = geometry.iou(np.float64(corners), truth).max(axis=0)
        self.boxes += len(best)
        self.found += int((best >= 0.5).sum())
