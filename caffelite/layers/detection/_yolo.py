"""What the layers of YOLO share: boxes of cells, their overlaps, ground truth that labels hold.

A box is x, y, w, h here, its center and sides, in units of the picture; an array of boxes has these
four along its first axis, and arrays of boxes broadcast.
"""

import math
from typing import NamedTuple

import numpy as np

from ...proto.caffe_pb2 import LayerParameter

COORDS = 4
"""Numbers of a box, which come first among the channels of an anchor."""
HEAD = COORDS + 1
"""Channels of an anchor before those of its classes: x, y, w, h, object."""


def sigmoid(x):
    """1 / (1 + exp(-x)), of the type of x; too large a number is no trouble."""
    small = np.exp(-abs(x))
    return np.where(x < 0, small, 1) / (1 + small)


def slope(s):
    """The derivative of a sigmoid, by its value."""
    return s * (1 - s)


def softmax(x, axis):
    """exp(x) over its sum along an axis; of infinite numbers, no numbers."""
    with np.errstate(invalid="ignore"):
        e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


# What layers say of boxes


def labels(options):
    """The labels of the boxes of a layer whose classes are counted from 0."""
    return range(1, options.num_class + 1)


def anchor_code(options):
    """What layers have to agree on whose boxes are those of anchors."""
    return {"biases": [round(size, 4) for size in options.biases]} if options.biases else {}


def finder(param, **options):
    """The YoloDetectionOutput with these options for what a layer reads as bottom 0."""
    return LayerParameter(
        name="detection_out",
        type="YoloDetectionOutput",
        bottom=param.bottom[:1],
        top=["detection_out"],
        yolo_detection_output_param=options,
    )


# Overlaps


def corners(boxes):
    """xmin, ymin, xmax, ymax of the boxes."""
    x, y, w, h = boxes
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def clipped(boxes):
    """xmin, ymin, xmax, ymax of what the picture shows of the boxes."""
    left, top, right, bottom = corners(boxes)
    return np.maximum(left, 0), np.maximum(top, 0), np.minimum(right, 1), np.minimum(bottom, 1)


def iou(a, b, corners=corners):
    """The shared area over that of both together; 0 for boxes that share none."""
    a, b = corners(a), corners(b)
    with np.errstate(invalid="ignore", over="ignore"):  # sides that e^w made infinite
        shared = _area(*_shared(a, b))
        union = _area(*a) + _area(*b) - shared
    return np.divide(shared, union, out=np.zeros_like(union), where=shared > 0)


def _shared(a, b):
    low = [np.maximum(p, q) for p, q in zip(a[:2], b[:2], strict=True)]
    return *low, *(np.minimum(p, q) for p, q in zip(a[2:], b[2:], strict=True))


def _area(left, top, right, bottom):
    return np.maximum(right - left, 0) * np.maximum(bottom - top, 0)


def best_overlap(boxes, truths, overlap=iou):
    """Of each box of a batch, the largest overlap with a truth of its picture, at least 0.

    `boxes` is (4, N, ...), the result (N, ...).
    """
    best = np.zeros(boxes.shape[1:], boxes.dtype)
    rank = truths.rank()
    for k in range(rank.max(initial=-1) + 1):
        one = truths.part(rank == k)  # of a picture
        true = one.box.reshape(COORDS, -1, *(1,) * (boxes.ndim - 2))
        best[one.image] = np.fmax(best[one.image], overlap(boxes[:, one.image], true))
    return best


def best_shape(shapes, sizes, overlap=iou):
    """Of each of T sizes (w, h), the first of the shapes that is most like it, and all overlaps.

    `sizes` is (2, T), `shapes` (2, anchors), or (2, anchors, T) with others for each; all are put
    onto one center. The index is -1 where nothing overlaps; overlaps are (anchors, T).
    """
    overlaps = overlap(_centered(shapes.reshape(2, shapes.shape[1], -1)), _centered(sizes[:, None]))
    best = np.fmax(overlaps, 0)
    return np.where(best.any(0), best.argmax(0), -1), overlaps


def _centered(sizes):
    return np.concatenate([np.zeros_like(sizes), sizes])


# Ground truth


class Truths(NamedTuple):
    """Boxes of a batch, T of them in the order of the labels: (T), (T) and (4, T)."""

    image: np.ndarray
    label: np.ndarray
    box: np.ndarray

    def part(self, chosen):
        return Truths(self.image[chosen], self.label[chosen], self.box[:, chosen])

    def rank(self):
        """The number of each box among those of its picture."""
        order = np.argsort(self.image, kind="stable")
        image = self.image[order]
        rank = np.empty(len(image), int)
        rank[order] = np.arange(len(image)) - np.searchsorted(image, image)
        return rank

    def cells(self, grid):
        """(row, column) of the cell that each center is in; `grid` is (rows, columns)."""
        return [(self.box[k] * count).astype(int) for k, count in ((1, grid[0]), (0, grid[1]))]


class Labels(NamedTuple):
    """The truths of a batch, as layers go by them; nearly always these are the same."""

    seen: Truths  # which predictions are compared with
    matched: Truths  # which are learned


def five_numbers(layer, blob, classes, grid):
    """The Labels of rows of class (from 0), x, y, w, h, as many a picture as fit.

    Seen are the rows before the first x of 0, matched those before the first w of 0.
    """
    samples, *rest = blob.shape
    rows = blob.data.reshape(samples, math.prod(rest) // HEAD, HEAD)
    found = []
    for column in (1, 3):
        inside = np.logical_and.accumulate(rows[..., column] != 0, axis=1)
        image, row = np.nonzero(inside)
        found.append(Truths(image, rows[inside][:, 0], rows[inside][:, 1:].T))
    return Labels(found[0], _checked(layer, blob, found[1], row, classes, grid))


def eight_numbers(layer, blob, classes, grid, pictures):
    """The Labels of AnnotatedData's rows: picture, class (from 1), instance, corners, difficult.

    Rows of picture -1 are none.
    """
    rows = blob.data.reshape(-1, 8)
    (row,) = np.nonzero(np.trunc(rows[:, 0]) != -1)
    rows = rows[row]
    low, high = rows[:, 3:5].T, rows[:, 5:7].T
    truths = Truths(rows[:, 0], rows[:, 1], np.concatenate([(low + high) / 2, high - low]))
    wrong = ~((rows[:, 0] > -1) & (rows[:, 0] < pictures))
    if wrong.any():
        words = f"is of no picture of the batch, expected 0 to {pictures - 1}, or -1 for none"
        raise _row_error(layer, blob, truths, row, wrong, words)
    truths = _checked(layer, blob, truths, row, classes, grid, first=1)
    return Labels(truths, truths)


def _checked(layer, blob, truths, row, classes, grid, first=0):
    """The truths, with whole numbers, labels from 0; raises unless all of them can be learned."""
    last, label = classes + first - 1, np.trunc(truths.label)
    cell = np.trunc(truths.box[:2] * np.reshape(grid[::-1], (2, 1)))
    outside = (cell < 0) | (cell >= np.reshape(grid[::-1], (2, 1)))
    for wrong, words in (
        (~np.isfinite(truths.box).all(0), "holds what is no number"),
        (~((label >= first) & (label <= last)), f"names no class, expected {first} to {last}"),
        ((truths.box[2:] <= 0).any(0), "is a box of no area; leave it out of the data"),
        (outside.any(0), "has its center outside of the picture, where no cell can learn it"),
    ):
        if wrong.any():
            raise _row_error(layer, blob, truths, row, wrong, words)
    return truths._replace(image=truths.image.astype(int), label=label.astype(int) - first)


def _row_error(layer, blob, truths, row, wrong, words):
    name, at = layer.param.bottom[1], np.argmax(wrong)
    values = ", ".join(f"{v:g}" for v in truths.box[:, at])
    return layer.error(
        f'bottom[1] "{name}": row {row[at]}, of picture {truths.image[at]:g}, with label '
        f"{truths.label[at]:g} and center and sides ({values}), {words}",
        blob=name,
    )


# Predictions


class Grid(NamedTuple):
    """The numbers that a map has for its anchors, and the boxes that they stand for."""

    # (N, anchors, 5 + classes, H, W): s(x), s(y), w, h, s(object), classes
    numbers: np.ndarray
    box: np.ndarray  # (4, N, anchors, H, W)


def check_some(layer, boxes, classes):
    """Raise unless a cell has boxes, and there are classes."""
    if boxes < 1 or classes < 1:
        raise layer.error(f"{boxes} boxes a cell of {classes} classes, expected at least 1 of each")


def check_map(layer, index, shape, anchors, classes):
    """Raise unless bottom `index` has HEAD + classes channels for each anchor."""
    check_some(layer, anchors, classes)
    channels = anchors * (HEAD + classes)
    if len(shape) != 4 or shape[1] != channels:
        expected = f"(N, {channels}, H, W): {anchors} anchors of {HEAD} and {classes} classes"
        raise layer.shape_error(index, shape, expected)


def anchor_sizes(layer, count):
    """`biases` as (2, anchors), at least `count` of them."""
    biases = np.array(layer.options.biases, layer.dtype)
    if len(biases) < 2 * count or len(biases) % 2:
        raise layer.error(
            f"{len(biases)} biases, expected a width and a height for each anchor, {2 * count}"
        )
    if not (biases > 0).all():
        raise layer.error(f"biases: {biases[~(biases > 0)][0]:g}, expected sizes above 0")
    return biases.reshape(-1, 2).T.copy()


def check_mask(layer, mask, count):
    """Raise unless the numbers in `mask` are of some of `count` anchors."""
    for anchor in mask:
        if anchor >= count:
            raise layer.error(f"mask: {anchor}, but biases has {count} anchors, expected below")


def read_map(data, anchors):
    """The Grid of a map; `anchors` is (2, A), sizes in cells.

    x, y are (cell + sigmoid) / cells; w, h are exp(number) anchor / cells.
    """
    (n, channels, height, width), count = data.shape, anchors.shape[1]
    numbers = data.reshape(n, count, channels // count, height, width).copy()
    for part in (slice(0, 2), slice(COORDS, HEAD)):
        numbers[:, :, part] = sigmoid(numbers[:, :, part])
    x, y, w, h = (numbers[:, :, k] for k in range(COORDS))
    column, row = np.arange(width, dtype=data.dtype), np.arange(height, dtype=data.dtype)[:, None]
    sizes = anchors[:, :, None, None]
    with np.errstate(over="ignore"):
        box = np.stack(
            [
                (column + x) / width,
                (row + y) / height,
                np.exp(w) * sizes[0] / width,
                np.exp(h) * sizes[1] / height,
            ]
        )
    return Grid(numbers, box)


def corners_in_turn(box):
    """Corners of boxes (4, N, anchors, H, W), each (N, H W anchors): cell by cell."""
    return [c.transpose(0, 2, 3, 1).reshape(len(c), math.prod(c.shape[1:])) for c in corners(box)]
