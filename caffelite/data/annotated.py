"""AnnotatedDatums, the messages that hold a picture and its boxes in a record of a database.

`annotated` makes one and `boxes_of` takes the boxes out of it; AnnotatedSource reads a database.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from google.protobuf.message import DecodeError

from ..proto.caffe_pb2 import AnnotatedDatum, Datum
from ..types import Array, Path
from .boxes import Boxes
from .datum import DatumSource, is_annotated, pixels
from .lmdb import LmdbSource
from .source import RecordSource

if TYPE_CHECKING:
    from .regions import Regions

log = logging.getLogger("caffelite")

NO_LABEL = -1
"""What SSD's tools write as the label of a picture that has boxes."""
MOST_LABEL = 1 << 24
"""Up to here, all whole numbers are a float32 each."""
BEYOND = 1e-3
"""How far beyond the picture a box may reach without a word: it is rounding."""


def annotated(datum: Datum, boxes: Boxes) -> AnnotatedDatum:
    """The AnnotatedDatum of a Datum, from `from_pixels` or a DatumEncoder, and its boxes.

    Boxes of one label are a group; groups come in the order of their first boxes.
    """
    message = AnnotatedDatum(datum=datum, type=AnnotatedDatum.BBOX)
    groups: dict[int, Any] = {}
    parts = boxes.labels, boxes.instances, boxes.corners, boxes.difficult
    for label, instance, corners, difficult in zip(*(part.tolist() for part in parts), strict=True):
        if label not in groups:
            groups[label] = message.annotation_group.add(group_label=label)
        box = groups[label].annotation.add(instance_id=instance).bbox
        box.xmin, box.ymin, box.xmax, box.ymax = corners
        box.difficult = difficult
    return message


def boxes_of(message: AnnotatedDatum) -> Boxes:
    """The boxes in an AnnotatedDatum, group by group."""
    labels, instances, corners, difficult = [], [], [], []
    for group in message.annotation_group:
        for annotation in group.annotation:
            box = annotation.bbox
            labels.append(group.group_label)
            instances.append(annotation.instance_id)
            corners.append((box.xmin, box.ymin, box.xmax, box.ymax))
            difficult.append(box.difficult)
    return Boxes(corners, labels, difficult, instances)


def open_database(path: Path, database: type[RecordSource] = LmdbSource) -> DatumSource:
    """The source of a database of pictures: an AnnotatedSource if its first record has boxes."""
    source = DatumSource(path, database=database)
    if not is_annotated(source.records.sample(0)[1]):
        return source
    source.close()
    return AnnotatedSource(path, database=database)


class AnnotatedSource(DatumSource):
    """The AnnotatedDatums in a database; a sample is (pixels, Boxes).

    Datums that have boxes in their float_data, as those of the first YOLO in Caffe, are read, too.
    Where a record says no type of annotations and has no boxes, it has a label of the picture, if
    that is not SSD's -1: `Boxes.of_picture`. With `labeled`, each record has to have one.
    Boxes that are no boxes, since they have no area, lie outside of the picture or are not made of
    numbers, are left out, and those that reach beyond the picture are cut off there, as SSD's Caffe
    does both. The first of each kind is named in a warning, and `faults` counts them; so are those
    whose label is not one of `known`. With `regions`, boxes come with those of their picture.
    """

    def __init__(self, *arguments: Any, known: set[int] | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.known = known
        self.labeled = False
        self.regions: Regions | None = None
        self.faults: Counter[str] = Counter()

    def read_record(self, record: int) -> tuple[Datum, Boxes]:
        """(Datum, Boxes) of record `record` modulo the length."""
        value = self.records.sample(record)[1]
        try:
            message = AnnotatedDatum.FromString(value)
            datum = message.datum if message.HasField("datum") else Datum.FromString(value)
        except DecodeError:
            raise self._no_datum(record, "is not an AnnotatedDatum, or a damaged one") from None
        if message.HasField("datum") and message.type == AnnotatedDatum.BBOX:
            boxes = boxes_of(message)
            if not (message.HasField("type") or len(boxes)) and datum.label != NO_LABEL:
                boxes.of_picture = datum.label if datum.HasField("label") else None
        elif message.HasField("datum"):
            kind = AnnotatedDatum.AnnotationType.Name(message.type)
            raise self._no_datum(record, f"has annotations of the type {kind}, expected BBOX")
        elif datum.data and len(datum.float_data):
            boxes = self._boxes_of_yolo(datum, record)
        elif datum.data:
            raise self._no_datum(
                record,
                'is a Datum, which has no boxes; write type: "Data", or make the database with '
                "convert_annoset",
            )
        else:
            raise self._no_datum(record, "is an AnnotatedDatum without a picture")
        if self.labeled and boxes.of_picture is None:
            has = f"{len(boxes)} boxes" if len(boxes) else "neither a label nor boxes"
            raise self._no_datum(
                record,
                f"has {has}, but the first record has a label of its picture; if this is a "
                "database of boxes, write annotated_data_param { anno_type: BBOX }",
            )
        boxes.raw = not datum.encoded
        return datum, self._sound(boxes, record)

    def _boxes_of_yolo(self, datum: Datum, record: int) -> Boxes:
        """Those in the float_data of a Datum, as yk's caffe-yolo has them there."""
        if len(datum.float_data) % 6:
            raise self._no_datum(
                record,
                f"is a Datum with {len(datum.float_data)} values of float_data, expected 6 for a "
                "box: class from 0, difficult, middle x, middle y, width, height",
            )
        numbers = np.array(datum.float_data, np.float32).reshape(-1, 6)
        labels, difficult = numbers[:, 0] + 1, numbers[:, 1] == 1
        wrong = ~((labels >= 1) & (labels <= MOST_LABEL) & (np.trunc(labels) == labels))
        if wrong.any():
            raise self._no_datum(
                record,
                f"has a box of the class {numbers[wrong][0, 0]:g}, expected a whole number of at "
                "least 0",
            )
        middle, half = numbers[:, 2:4], numbers[:, 4:] / 2
        return Boxes(np.concatenate([middle - half, middle + half], axis=1), labels, difficult)

    def datum(self, record: int) -> Datum:
        return self.read_record(record)[0]

    def read_with_regions(self, record: int) -> tuple[Datum, Boxes]:
        """As `read_record`; the Boxes come with the regions of their picture."""
        datum, boxes = self.read_record(record)
        if self.regions is not None:
            key, name = self.records.sample(record)[0], self.records.name(record)
            corners = self.regions.of_record(record, key, datum.data, name)
            boxes.regions = Boxes(corners, np.zeros(len(corners)), instances=np.zeros(len(corners)))
        return datum, boxes

    def stored(self, record: int) -> tuple[Array, Boxes]:
        """(pixels, Boxes) of record `record` modulo the length."""
        datum, boxes = self.read_with_regions(record)
        with self.records.named(record):
            return pixels(datum, self.color), boxes

    def close(self) -> None:
        super().close()
        if self.regions is not None:
            self.regions.close()

    def label(self, number: int) -> Boxes:
        return self.read_record(self.record(number))[1]

    def _sound(self, boxes: Boxes, record: int) -> Boxes:
        """The boxes that are boxes, within the picture."""
        if not len(boxes):
            return boxes
        sound = boxes.sound()
        if not (sound.all() and np.abs(boxes.corners - 0.5).max() <= 0.5 + BEYOND):
            for number, words in boxes.faults():
                self._blame(boxes, number, record, f"{words}, and is left out")
            beyond = np.any(np.abs(boxes.corners - 0.5) > 0.5 + BEYOND, axis=1)
            for number in np.flatnonzero(sound & beyond).tolist():
                words = "reaches beyond the picture, and is cut off"
                self._blame(boxes, number, record, words)
            boxes.keep(sound)
        if self.known is not None:
            strange = np.isin(boxes.labels, list(self.known), invert=True)
            for number in np.flatnonzero(strange).tolist():
                words = "has a label that the label map lacks"
                self._blame(boxes, number, record, words)
        return boxes

    def _blame(self, boxes: Boxes, number: int, record: int, words: str) -> None:
        """Count a box that something is wrong with; the first of a kind is named."""
        if not self.faults[words]:
            corners = ", ".join(f"{value:g}" for value in boxes.corners[number])
            log.warning(
                "%s: box %d (label %d: %s) %s; others of the kind are counted",
                *(self.records.name(record), number, boxes.labels[number], corners, words),
            )
        self.faults[words] += 1
