"""AnnotatedDatums, the messages that hold a picture and its boxes in a record of a database.

`annotated` makes one and `boxes_of` takes the boxes out of it; AnnotatedSource reads a database.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from ..proto.caffe_pb2 import AnnotatedDatum, Datum
from ..types import Array
from .boxes import Boxes
from .datum import DatumSource, pixels

log = logging.getLogger("caffelite")

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


class AnnotatedSource(DatumSource):
    """The AnnotatedDatums in a database; a sample is (pixels, Boxes).

    Datums that have boxes in their float_data, as those of the first YOLO in Caffe, are read, too.
    Boxes that are no boxes, since they have no area, lie outside of the picture or are not made of
    numbers, are left out, and those that reach beyond the picture are cut off there, as SSD's Caffe
    does both. The first of each kind is named in a warning, and `faults` counts them; so are those
    whose label is not one of `known`.
    """

    def __init__(self, *arguments: Any, known: set[int] | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.known = known
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
        labels, difficult = np.nan_to_num(numbers[:, 0]) + 1, numbers[:, 1] == 1
        middle, half = numbers[:, 2:4], numbers[:, 4:] / 2
        return Boxes(np.concatenate([middle - half, middle + half], axis=1), labels, difficult)

    def datum(self, record: int) -> Datum:
        return self.read_record(record)[0]

    def sample(self, number: int) -> tuple[Array, Boxes]:
        """(pixels, Boxes) of sample `number`."""
        record = self._record(number)
        datum, boxes = self.read_record(record)
        with self.records.named(record):
            return pixels(datum, self.color), boxes

    def label(self, number: int) -> Boxes:
        return self.read_record(self._record(number))[1]

    def _sound(self, boxes: Boxes, record: int) -> Boxes:
        """The boxes that are boxes, within the picture."""
        corners = boxes.corners
        if not len(corners):
            return boxes
        low, high = corners[:, :2], corners[:, 2:]
        sound = np.all((low < high) & (low < 1) & (high > 0), axis=1)  # NaN is none of this
        if not (sound.all() and np.abs(corners - 0.5).max() <= 0.5 + BEYOND):
            self._tell(boxes, record, sound)
            boxes.keep(sound)
        if self.known is not None:
            strange = np.isin(boxes.labels, list(self.known), invert=True)
            self._blame(strange, boxes, record, "has a label that the label map lacks")
        return boxes

    def _tell(self, boxes: Boxes, record: int, sound: Array) -> None:
        """Say what is wrong with boxes, of which some are still sound."""
        corners = boxes.corners
        numbers = np.all(np.isfinite(corners), axis=1)
        wide = np.all(corners[:, :2] < corners[:, 2:], axis=1)
        beyond = np.any(np.abs(corners - 0.5) > 0.5 + BEYOND, axis=1)
        self._blame(~numbers, boxes, record, "is not made of numbers, and left out")
        self._blame(numbers & ~wide, boxes, record, "has no area, and is left out")
        self._blame(numbers & wide & ~sound, boxes, record, "lies outside, and is left out")
        self._blame(sound & beyond, boxes, record, "reaches beyond the picture, and is cut off")

    def _blame(self, which: Array, boxes: Boxes, record: int, words: str) -> None:
        """Count the boxes that something is wrong with; the first is named."""
        if not which.any():
            return
        if not self.faults[words]:
            first = int(np.flatnonzero(which)[0])
            corners = ", ".join(f"{value:g}" for value in boxes.corners[first])
            log.warning(
                "%s: box %d (label %d: %s) %s; others of the kind are counted",
                *(self.records.name(record), first, boxes.labels[first], corners, words),
            )
        self.faults[words] += int(which.sum())
