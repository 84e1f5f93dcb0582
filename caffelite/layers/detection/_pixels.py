"""Boxes that a net found, in pixels of the pictures that it was shown resized."""

import numpy as np

from ... import reading
from ...errors import DataError
from ...kernels import boxes as geometry

MOST = 1 << 24  # pixels of a side


def in_pixels(boxes, size, resize=None):
    """(boxes in pixels of a picture of `size`, height and width; their areas), in float32.

    `resize` is the ResizeParameter by which it was resized, or None, where it was squeezed. Boxes
    are cut off at its borders. As in SSD's Caffe, areas count a last pixel in either direction,
    but not of boxes in fractions of height_scale and width_scale (FIT_SMALL_SIZE).
    """
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    height, width = size
    if resize is not None and resize.resize_mode == resize.FIT_SMALL_SIZE:
        if resize.height_scale and resize.width_scale:
            scaled = _scaled(boxes, resize.height_scale, resize.width_scale)
            scaled = geometry.clip(scaled, width, height)
            return scaled, geometry.area(scaled)
    if resize is not None and resize.resize_mode == resize.FIT_LARGE_SIZE_AND_PAD:
        boxes = _without_padding(boxes, np.float32(width) / np.float32(height), resize)
    scaled = _scaled(geometry.clip(boxes), height, width)
    return scaled, geometry.area(scaled, pixels=width > 1 or height > 1)


def _scaled(boxes, height, width):
    return boxes * np.float32([width, height, width, height])


def _without_padding(boxes, aspect, resize):
    """Boxes in fractions of the picture within a padded one; those in the padding stay as are."""
    height, width = np.float32(resize.height), np.float32(resize.width)
    if aspect > width / height:
        border = np.float32([0, (height - width / aspect) / 2 / height])
    else:
        border = np.float32([(width - height * aspect) / 2 / width, 0])
    low, high = border, 1 - border
    shown = ((boxes[:, :2] < high) & (boxes[:, 2:] > low)).all(axis=1)
    moved = (boxes - np.tile(low, 2)) / np.tile(high - low, 2)
    return np.where(shown[:, None], moved, boxes)


def check_resize(layer, resize, option):
    """Raise for a ResizeParameter that cannot be undone, for want of a size."""
    if not (resize.height and resize.width):
        raise layer.error(f"{option}: give height and width")


def read_name_sizes(path):
    """[(name, (height, width))] of the pictures in a name_size_file, a line for each.

    Names may have spaces.
    """
    found = []
    for number, line in enumerate(reading.lines(path, "NAME HEIGHT WIDTH"), 1):
        if not line.strip():
            continue
        words, at = line.rsplit(None, 2), f"{path}:{number}"
        if len(words) < 3:
            raise DataError(f"{at}: has {len(words)} words, expected NAME HEIGHT WIDTH")
        name, *sides = words
        height, width = (
            reading.integer(word, at, f"{what} of {name}", 1, MOST)
            for what, word in zip(("height", "width"), sides, strict=True)
        )
        found.append((name.strip(), (height, width)))
    if not found:
        raise DataError(f"{path}: is empty, expected lines of NAME HEIGHT WIDTH")
    return found
