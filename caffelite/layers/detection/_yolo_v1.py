"""The first YOLO's numbers: of classes for each cell, of boxes for several a cell."""

from typing import NamedTuple

import numpy as np

from . import _yolo as yolo


class Cells(NamedTuple):
    """Of S^2 cells, row by row, with B boxes each; the arrays are views of the map."""

    classes: np.ndarray  # (classes, N, S^2)
    object: np.ndarray  # (B, N, S^2)
    numbers: np.ndarray  # (4, B, N, S^2): x, y, w, h as they are


def count(side, classes, boxes):
    """How many numbers a picture has."""
    return side**2 * (classes + yolo.HEAD * boxes)


def check_count(layer, shape, side, classes, boxes):
    """Raise unless bottom 0 has as many numbers a picture."""
    yolo.check_some(layer, boxes, classes)
    if side < 1:
        raise layer.error("side is 0, expected the number of cells in a row")
    expected = count(side, classes, boxes)
    if not shape or np.prod(shape[1:]) != expected:
        words = (
            f"{expected} numbers a picture: {side}^2 cells of {classes} classes and {boxes} boxes"
        )
        raise layer.shape_error(0, shape, words)


def read_planes(data, side, classes, boxes):
    """The Cells of a map for each number: classes, objects, then x, y, w, h of box after box."""
    each = classes + yolo.HEAD * boxes
    planes = data.reshape(len(data), each, side**2).swapaxes(0, 1)
    numbers = planes[classes + boxes :].reshape(boxes, yolo.COORDS, len(data), side**2)
    return Cells(planes[:classes], planes[classes : classes + boxes], numbers.swapaxes(0, 1))


def read_cells(data, side, classes, boxes):
    """The Cells of darknet's last layer: classes of all cells, objects of all, boxes of all."""
    cells = side**2
    flat = data.reshape(len(data), count(side, classes, boxes))
    p, o, numbers = np.split(flat, [cells * classes, cells * (classes + boxes)], axis=1)
    p, o = p.reshape(len(data), cells, classes), o.reshape(len(data), cells, boxes)
    numbers = numbers.reshape(len(data), cells, boxes, yolo.COORDS)
    return Cells(p.transpose(2, 0, 1), o.transpose(2, 0, 1), numbers.transpose(3, 2, 0, 1))


def column_row(side, dtype):
    """(2, S^2): of each cell."""
    row, column = np.divmod(np.arange(side**2), side)
    return np.stack([column, row]).astype(dtype)


def boxes_of(numbers, side, options):
    """The boxes that numbers (4, ..., S^2) say: `constriant` and `sqrt` tell how."""
    xy, wh = numbers[:2], numbers[2:]
    if options.constriant:
        at = column_row(side, numbers.dtype)
        xy = (xy + at.reshape(2, *(1,) * (xy.ndim - 2), -1)) / side
    return np.concatenate([xy, wh**2 if options.sqrt else wh])


class Objects(NamedTuple):
    """The one object that a cell may have, in the labels of yk's Caffe, of T cells that do."""

    image: np.ndarray
    cell: np.ndarray
    label: np.ndarray
    box: np.ndarray  # (4, T)
    difficult: np.ndarray


def code(options):
    """What layers have to agree on whose boxes are those of cells."""
    return {"sqrt": options.sqrt, "constriant": options.constriant}


def finder(param, options):
    """The layer that finds boxes in what a layer with these options reads as bottom 0."""
    return yolo.finder(
        param,
        layout="PLANES",
        side=options.side,
        num_classes=options.num_class,
        num_box=options.num_object,
        nms_threshold=0.5,
        **code(options),
    )


ROUNDING = 1e-3
"""How far outside of the picture a center on its edge may come to lie."""
LABELS = 7
"""Numbers of labels a cell: difficult, whether there is an object, its class, x, y, w, h."""


def check_labels(layer, shape, samples, side):
    expected = LABELS * side**2
    if shape[:1] != (samples,) or np.prod(shape[1:]) != expected:
        words = f"{samples} x {expected}: {LABELS} numbers for each of {side}^2 cells"
        raise layer.shape_error(1, shape, words)


def read_objects(layer, blob, side, classes):
    """The Objects of labels: difficult, object, class from 0 of all cells, then all x, y, w, h."""
    labels = blob.data.reshape(len(blob.data), LABELS, side**2)
    difficult, there, label = labels[:, 0], labels[:, 1], np.trunc(labels[:, 2])
    boxes = labels[:, 3:].reshape(len(labels), side**2, yolo.COORDS)
    image, cell = np.nonzero(there)
    found = Objects(
        image, cell, label[image, cell], boxes[image, cell].T, difficult[image, cell] == 1
    )
    for wrong, words in (
        (there[image, cell] != 1, "is neither there nor not: expected 0 or 1"),
        (~np.isfinite(found.box).all(0), "holds what is no number"),
        (
            ~((found.label >= 0) & (found.label < classes)),
            f"names no class, expected 0 to {classes - 1}",
        ),
        ((found.box[2:] <= 0).any(0), "is a box of no area; leave it out of the data"),
        (
            (abs(found.box[:2] - 0.5) > 0.5 + ROUNDING).any(0),
            "has its center outside of the picture, in no cell",
        ),
    ):
        if wrong.any():
            at, name = np.argmax(wrong), layer.param.bottom[1]
            row, column = divmod(int(cell[at]), side)
            values = ", ".join(f"{v:g}" for v in found.box[:, at])
            raise layer.error(
                f'bottom[1] "{name}": the object of row {row}, column {column} of picture '
                f"{image[at]}, with label {found.label[at]:g} and center and sides ({values}), "
                f"{words}",
                blob=name,
            )
    return found._replace(label=found.label.astype(int))
