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

    Boxes that are no boxes, since they have no area, lie outside of the picture or are not made of
    numbers, are left out, and those that reach beyond the picture are cut off there, as SSD's Caffe
    does both. The first of each kind is named in a warning, and `faults` counts them; so are those
    whose label is not one of `known`.
    """

    def __init__(self, *arguments: Any, known: set[int] | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.known = known
        self.faults: Counter[str] = Counter()

    def message(self, record: int) -> AnnotatedDatum:
        """The AnnotatedDatum in record `record` modulo the length."""
        value = self.records.sample(record)[1]
        try:
            message = AnnotatedDatum.FromString(value)
        except DecodeError:
            raise self._no_datum(record, "is not an AnnotatedDatum, or a damaged one") from None
        if not message.HasField("datum"):
            raise self._no_datum(
                record,
                'is a Datum, which has no boxes; write type: "Data", or make the database with '
                "convert_annoset"
                if _is_datum(value)
                else "is an AnnotatedDatum without a picture",
            )
        return message

    def datum(self, record: int) -> Datum:
        return self.message(record).datum

    def sample(self, number: int) -> tuple[Array, Boxes]:
        """(pixels, Boxes) of sample `number`."""
        record = self._record(number)
        message = self.message(record)
        with self.records.named(record):
            picture = pixels(message.datum, self.color)
        boxes = self._sound(boxes_of(message), record)
        boxes.raw = not message.datum.encoded
        return picture, boxes

    def label(self, number: int) -> Boxes:
        record = self._record(number)
        return self._sound(boxes_of(self.message(record)), record)

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


def _is_datum(value: bytes) -> bool:
    try:
        datum = Datum.FromString(value)
    except DecodeError:
        return False
    return bool(datum.data or datum.float_data)
