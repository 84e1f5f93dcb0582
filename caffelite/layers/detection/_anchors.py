"""Anchors: boxes of some shapes at each place of a map, from which region proposals start."""

import math

import numpy as np

from ..base import Layer
from ._priors import told

RATIOS, SCALES = (0.5, 1, 2), (8, 16, 32)


def anchors(base_size=16, ratios=RATIOS, scales=SCALES):
    """Those at the first place of a map, a row of four numbers each, float64.

    For each ratio of height to width, a box about as large as `base_size` squared, its sides
    rounded to pixels; each of these, scales[0] times as large, scales[1] times, ... All have the
    center of the box (0, 0, base_size - 1, base_size - 1).
    """
    widths = np.round(np.sqrt(base_size**2 / np.asarray(ratios, np.float64)))
    sides = np.stack([widths, np.round(widths * ratios)], axis=1)
    half = (sides[:, None] * np.asarray(scales, np.float64)[:, None] - 1) / 2
    center = (base_size - 1) / 2
    return np.concatenate([center - half, center + half], axis=-1).reshape(-1, 4)


def shifted(boxes, stride, rows, columns):
    """The anchors of all places: (rows * columns * boxes, 4), those of a place in turn."""
    y, x = np.meshgrid(np.arange(rows) * stride, np.arange(columns) * stride, indexing="ij")
    return (np.stack([x, y, x, y], axis=-1)[:, :, None] + boxes).reshape(-1, 4)


class AnchorLayer(Layer):
    """Base of layers with anchors: their options, and those of a map of some size.

    The options of all:

    feat_stride: pixels of the picture for a cell of the map [16]
    base_size: the side of an anchor before scaling, in pixels [16]
    ratio: heights of the anchors to their widths [0.5, 1, 2]
    scale: how many times as large as base_size they are [8, 16, 32]
    """

    drawn_as = "boxes"
    stops_gradient = True
    picture_sizes = 2

    def setup(self, bottom_shapes):
        options = self.options
        for name in ("feat_stride", "base_size"):
            if not getattr(options, name):
                raise self.error(f"{name} is 0, expected pixels, 1 or more")
        for name in ("ratio", "scale"):
            for number in getattr(options, name):
                if not number > 0:
                    raise self.error(f"{name} is {number:g}, expected a number above 0")
        self.shapes = tuple(options.ratio) or RATIOS, tuple(options.scale) or SCALES
        found = self._anchors()
        if (found[:, 2:] < found[:, :2]).any():
            raise self.error(
                f"base_size {options.base_size} makes anchors of less than a pixel with the ratios "
                f"and scales {self.shapes}; make it or them larger"
            )
        self.per_place, self.of_size = len(found), {}

    def box_code(self):
        options = self.options
        ratios, scales = tuple(options.ratio) or RATIOS, tuple(options.scale) or SCALES
        told = {"feat_stride": options.feat_stride, "base_size": options.base_size}
        return told | {"ratio": ratios, "scale": scales}

    def _anchors(self):
        return anchors(self.options.base_size, *self.shapes)

    def check_channels(self, index, shape, each, what):
        """Raise unless a bottom is a map with so many numbers for each anchor."""
        count = each * self.per_place
        if len(shape) != 4 or shape[1] != count:
            expected = f"(N, {count}, height, width): {what} for each of {self.per_place} anchors"
            raise self.shape_error(index, shape, expected)

    def on(self, rows, columns):
        """The anchors of a map of this size."""
        if (rows, columns) not in self.of_size:
            boxes = shifted(self._anchors(), self.options.feat_stride, rows, columns)
            self.of_size = {(rows, columns): boxes}
        return self.of_size[rows, columns]

    def check_sizes(self, index, shape, pictures):
        """Raise unless a bottom has a row of three numbers or more for each picture."""
        if shape[:1] != (pictures,) or math.prod(shape[1:]) < 3:
            expected = f"({pictures}, 3): height, width and scale of each picture"
            raise self.shape_error(index, shape, expected)

    def read_sizes(self, index, blob):
        """Rows of height, width and scale of the pictures, or the scales of either side."""
        rows = blob.data.reshape(len(blob.data), math.prod(blob.shape[1:]))
        bad = ~(np.isfinite(rows) & (rows > 0))[:, :3].all(axis=1)
        if bad.any():
            name = self.param.bottom[index]
            raise self.error(
                f'bottom[{index}] "{name}" holds {told(rows[np.argmax(bad)])}, expected height, '
                "width and scale of a picture, numbers above 0",
                blob=name,
            )
        return rows
