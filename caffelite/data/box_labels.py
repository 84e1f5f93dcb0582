"""Labels of pictures with boxes, in the forms that the layers of detectors take them in.

Each of these is called with the Boxes of the pictures in a batch, and gives a list of arrays, one
for each top behind the data.
"""

import logging
from dataclasses import dataclass

import numpy as np

from .boxes import COLUMNS

log = logging.getLogger("caffelite")

FIVE = 5  # numbers of a box: class from 0, middle x and y, width, height
CELL = 7  # of a cell: difficult, whether there is an object, class, middle x and y, width, height


class Rows:
    """1 x 1 x boxes x 8, see Boxes.rows; without any box, one row of -1. As in SSD's Caffe."""

    def __call__(self, boxes):
        rows = np.concatenate([own.rows(item) for item, own in enumerate(boxes)])
        if not len(rows):
            rows = np.full((1, COLUMNS), -1, np.float32)
        return [rows[None, None]]

    def shapes(self, batch, boxes):
        """The tops' shapes for so many pictures and boxes."""
        return [(1, 1, max(1, boxes), COLUMNS)]


class Numbers:
    """batch: a label for each picture, as SSD's convert_annoset stores it without boxes."""

    def __call__(self, boxes):
        return [np.array([own.of_picture for own in boxes])]

    def shapes(self, batch, boxes):
        return [(batch,)]


WITHIN = np.finfo(np.float32).tiny, np.nextafter(np.float32(1), np.float32(0))
"""The least and the largest middle that is in a picture, and in a cell of it."""


@dataclass
class Fives:
    """A row of `count` boxes for each picture, five numbers each, and 0 behind the last.

    A middle on the picture's edge is moved into the picture by the least that there is: 0 ends the
    list, and 1 is in no cell. Only with `difficult` are there boxes that are. `flat`: batch x
    5 count, as in gklz1982's caffe-yolov2; else batch x 1 x count x 5, as in MobileNet-YOLO.
    """

    count: int
    difficult: bool
    flat: bool = False

    def __call__(self, boxes):
        labels = np.zeros((len(boxes), 1, self.count, FIVE), np.float32)
        for own, row in zip(boxes, labels[:, 0], strict=True):
            wanted = slice(None) if self.difficult else ~own.difficult
            classes, places = own.labels[wanted] - 1, own.centers()[wanted]
            if len(classes) > self.count:
                _tell_of_too_many(len(classes), self.count)
            row[: len(classes), 0] = classes[: self.count]
            row[: len(classes), 1:] = places[: self.count]
            row[: len(classes), 1:3] = row[: len(classes), 1:3].clip(*WITHIN)
        return [labels.reshape(self.shapes(len(boxes), 0)[0])]

    def shapes(self, batch, boxes):
        return [(batch, FIVE * self.count) if self.flat else (batch, 1, self.count, FIVE)]


_told: set[int] = set()


def _tell_of_too_many(found, most):
    if most not in _told:
        _told.add(most)
        log.warning("A picture has %d boxes, of which labels hold the first %d", found, most)


@dataclass
class Grids:
    """For each side S, batch x 7 S^2: what is in each of S x S cells, as in yk's caffe-yolo.

    S^2 numbers say whether the object is difficult, S^2 whether there is one, S^2 its class from 0,
    or -1, and 4 S^2 its middle, width and height, cell by cell. An object is in the cell of its
    middle; of several in a cell, the last one counts.
    """

    sides: list

    def __call__(self, boxes):
        return [np.stack([_grid(own, side) for own in boxes]) for side in self.sides]

    def shapes(self, batch, boxes):
        return [(batch, CELL * side**2) for side in self.sides]


def _grid(boxes, side):
    cells = side * side
    labels = np.zeros((CELL, cells), np.float32)
    difficult, there, classes = labels[:3]
    classes[:] = -1
    places = boxes.centers()
    column, row = (places[:, :2] * np.float32(side)).astype(int).clip(0, side - 1).T
    cell = row * side + column
    difficult[cell], there[cell], classes[cell] = boxes.difficult, 1, boxes.labels - 1
    labels[3:].reshape(cells, 4)[cell] = places
    return labels.reshape(-1)
