"""What all forms of annotations come to: objects on pictures, and Boxes of them."""

import logging
import math
import os
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from ...errors import DataError
from ..boxes import Boxes
from ..picture_file import is_picture_name

log = logging.getLogger("caffelite")

MOST_NAMED = 20  # faults that are named one by one
BEYOND = 1e-3  # of a side: what reaches further beyond the picture is told of
PIXELS = 2  # a number of a box that is above this is no fraction of a side


class Object(NamedTuple):
    """Something on a picture: xmin, ymin, xmax, ymax in pixels, or in fractions of the sides.

    `said` is what stands in the file for corners that are no numbers.
    """

    name: str  # of its class
    corners: tuple
    difficult: bool = False
    truncated: bool = False
    crowd: bool = False
    said: str = ""

    @property
    def shown(self):
        """Its corners as messages tell them."""
        return self.said or ", ".join(f"{value:g}" for value in self.corners)


@dataclass
class Annotation:
    """What is said of a picture; `where` says so, `size` is (height, width), if that is said."""

    where: str
    objects: list = field(default_factory=list)
    size: tuple | None = None
    in_fractions: bool = False


class Entry(NamedTuple):
    """A picture of a data set: its name there, its file, and its Annotation, or what is wrong."""

    name: str
    path: str
    annotation: Annotation | None
    problem: str = ""


class Faults:
    """What is wrong with boxes and pictures, counted by kind; the first ones are named."""

    def __init__(self):
        self.counts = Counter()

    def add(self, kind, where, words):
        """Count a fault, and say so."""
        self.counts[kind] += 1
        count = self.counts[kind]
        if count <= MOST_NAMED:
            log.warning("%s: %s", where, words)
        elif count == MOST_NAMED + 1:
            log.warning("and more of the kind, which are counted only: %s", kind)


@dataclass
class Collection:
    """A data set: {part: entries}, its classes in the order of their labels, from 1 on.

    `shown` are display names of classes, where they are others than the names; `faults`
    what was wrong with the files.
    """

    where: str
    parts: dict
    classes: list
    shown: dict = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)


def boxes_of(annotation, size, labels, faults):
    """(the Boxes of an Annotation on a picture of a size, the objects that they are of).

    `labels` are {name: label}. What is no box is left out, what reaches beyond the picture is cut
    off; `faults` gets to know of both, and of classes that `labels` lacks.
    """
    height, width = (1, 1) if annotation.in_fractions else annotation.size or size
    corners, kept = [], []
    for number, item in enumerate(annotation.objects, 1):
        where = f'{annotation.where}: object {number} ("{item.name}")'
        place = [
            value / side
            for value, side in zip(item.corners, (width, height, width, height), strict=True)
        ]
        fault = _fault(place, item, labels)
        if fault:
            words = f"{fault}, and left out: {item.shown}"
            if annotation.in_fractions and max(item.corners) > PIXELS:
                words += "; these look like pixels, but YOLO's numbers are fractions of the sides"
            faults.add(fault, where, words)
            continue
        inside = [min(max(value, 0.0), 1.0) for value in place]
        if any(abs(a - b) > BEYOND for a, b in zip(inside, place, strict=True)):
            kind = "reaches beyond the picture"
            words = f"{kind} of {width} x {height}, and is cut off: {item.shown}"
            faults.add(kind, where, words)
        corners.append(inside)
        kept.append(item)
    boxes = Boxes(corners, [labels[i.name] for i in kept], [i.difficult or i.crowd for i in kept])
    return boxes, kept


def _fault(place, item, labels):
    """Why an object gives no box, or ""."""
    if not all(map(math.isfinite, place)):
        return "is not made of numbers"
    xmin, ymin, xmax, ymax = place
    if xmax <= xmin or ymax <= ymin:
        return "has no area"
    if xmin >= 1 or ymin >= 1 or xmax <= 0 or ymax <= 0:
        return "lies outside of the picture"
    return "" if item.name in labels else "has a class that is not in the label map"


def pictures_in(folders):
    """{name without its ending: path} of the pictures in some folders, the first ones first."""
    found = {}
    for folder in folders:
        if os.path.isdir(folder):
            for name in sorted(os.listdir(folder)):
                if is_picture_name(name) and not name.startswith("."):
                    found.setdefault(os.path.splitext(name)[0], os.path.join(folder, name))
    return found


def refuse_empty(collection):
    """The Collection, which holds at least one picture."""
    if not any(collection.parts.values()):
        raise DataError(f"{collection.where}: holds no annotated pictures")
    return collection
