"""The check of a whole database, or tar, which reads every page, every key and every record.

`caffelite dataset check` prints the Report that `check` gives.
"""

import os
from collections import Counter
from dataclasses import dataclass, field

from .. import file_kind
from ..errors import DataError
from ..proto import caffe_pb2
from ._lmdb_pages import LargeValue, Pages
from .annotated import boxes_of
from .datum import is_annotated, pixels
from .leveldb import LevelDbSource
from .tar import TarSource


@dataclass
class Report:
    """What a database holds; `faults` are sentences, and there are none if it is whole."""

    path: str
    kind: str
    records: int = 0
    pages: int = 0
    shapes: Counter = field(default_factory=Counter)  # channels x height x width
    labels: Counter = field(default_factory=Counter)  # of pictures, or of their boxes
    boxes: int = 0
    faults: list = field(default_factory=list)

    def take(self, key, value):
        """Count a record: a Datum, or AnnotatedDatum, whose pixels can be had, with its boxes."""
        try:
            datum = caffe_pb2.Datum.FromString(value)
            boxes = None
            if is_annotated(value):
                message = caffe_pb2.AnnotatedDatum.FromString(value)
                datum, boxes = message.datum, boxes_of(message)
            shape = pixels(datum).shape
        except DataError as problem:
            self.blame(key, problem)
        except Exception:  # of protobuf, whose kinds differ by version
            self.blame(key, "is not a Datum, or a damaged one")
        else:
            self.shapes[shape] += 1
            self._count(key, datum.label, boxes)
        self.records += 1

    def _count(self, key, label, boxes):
        """Count what a record is labelled with: a number, or boxes."""
        if boxes is None:
            self.labels[label] += 1
            return
        self.boxes += len(boxes)
        self.labels.update(boxes.labels.tolist())
        for number, words in boxes.faults():
            self.blame(key, f"box {number} {words}")

    def blame(self, key, problem):
        """Take down what is wrong with a record."""
        name = key.decode("utf-8", "backslashreplace")
        self.faults.append(f'{self.path}: record {self.records} (key "{name}"): {problem}')


def check(path, progress=lambda records, total: records):
    """The Report of the database in a directory, an LMDB or a LevelDB, or of a tar.

    `progress` wraps the iteration over records; the total is what the database says, or None.
    """
    path = os.fspath(path)
    kind = file_kind.of(path) if os.path.isfile(path) else None
    if path.endswith(".tar") or (kind and kind.name == "tar"):
        return _check_tar(path, progress)
    is_leveldb = os.path.isfile(os.path.join(path, "CURRENT"))
    return (_check_leveldb if is_leveldb else _check_lmdb)(path, progress)


def _check_lmdb(path, progress):
    pages = Pages(path)
    report = Report(path, "LMDB")
    walk = _Walk(pages, report.faults)
    for key, value in progress(walk.records(), pages.entries):
        report.take(key, value)
    report.pages = sum(walk.counts)
    if pages.moved():
        pages.close()
        raise DataError(f"{path}: was written while it was checked; check it when nobody writes it")
    if not report.faults:
        _compare(pages, report, walk.counts)
    pages.close()
    return report


def _compare(pages, report, counts):
    """What the first pages say there is must be there."""
    names = ("branches", "leaves", "pages of large values")
    found = dict(zip(names, counts, strict=True)) | {"records": report.records}
    said = dict(zip(names, pages.counts, strict=True)) | {"records": pages.entries}
    for name, count in found.items():
        if count != said[name]:
            report.faults.append(f"{pages.name}: has {count} {name}, but says {said[name]}")


class _Walk:
    """A walk through all of a tree, which goes on behind what is damaged."""

    def __init__(self, pages, faults):
        self._pages, self._faults = pages, faults
        self.counts = [0, 0, 0]  # branches, leaves, pages of large values

    def records(self):
        """Yield (key, value)."""
        for page in self._pages.top():
            yield from self._below(page, self._pages.depth)

    def _below(self, page, depth):
        try:
            found = self._pages.branch(page) if depth > 1 else self._pages.leaves([page])
        except DataError as problem:
            self._faults.append(str(problem))
            return
        if depth > 1:
            self.counts[0] += 1
            for child in found:
                yield from self._below(child, depth - 1)
            return
        self.counts[1] += 1
        for index, key in enumerate(found.keys):
            value = found.value(index)
            if isinstance(value, LargeValue):
                try:
                    value, count = self._pages.large(value), self._pages.large_pages(value)
                except DataError as problem:
                    self._faults.append(str(problem))
                    continue
                self.counts[2] += count
            yield key, value


def _check_tar(path, progress):
    report = Report(path, "tar")
    try:
        source = TarSource(path, anew=True)
    except DataError as problem:
        report.faults.append(str(problem))
        return report
    for number in progress(range(len(source)), len(source)):
        report.take(*source.sample(number))
    return report


def _check_leveldb(path, progress):
    report, last = Report(path, "LevelDB"), None
    source = LevelDbSource(path)
    try:
        for key, value in progress(_until_damage(source, report.faults), None):
            if last is not None and key <= last:
                report.blame(key, "its key comes after one that is not before it")
            report.take(key, value)
            last = key
    finally:
        source.close()
    return report


def _until_damage(source, faults):
    """Yield (key, value) up to the end, or to what LevelDB finds is not as it was written."""
    number = 0
    try:
        while True:
            record = source.sample(number)
            if source.at < number:
                return
            yield record
            number += 1
    except DataError as problem:
        faults.append(str(problem))
