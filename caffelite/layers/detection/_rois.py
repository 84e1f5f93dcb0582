"""Regions of interest (RoIs): rows of map, xmin, ymin, xmax, ymax, in pixels of the input."""

import math

import numpy as np

from ..base import Layer
from ._detections import DIVERGED
from ._priors import told

FARTHEST = 1e7
"""Pixels; no corner of a region is further away, on pictures of any size."""
ROW = "(regions, 5): map, xmin, ymin, xmax, ymax"


def check_rois(layer, index, shape):
    """Raise unless a bottom has rows of five numbers."""
    if shape[1:2] != (5,) or math.prod(shape[2:]) != 1:
        raise layer.shape_error(index, shape, ROW)


def read_rois(layer, index, blob, maps):
    """(map of each region, its corners); each is checked."""
    rows, name = blob.data.reshape(-1, 5), layer.param.bottom[index]

    def check(bad, expected):
        if bad.any():
            row = int(np.argmax(bad))
            words = f'bottom[{index}] "{name}": row {row} is {told(rows[row])}, expected {expected}'
            raise layer.error(words, blob=name)

    with np.errstate(invalid="ignore"):
        far = ~(abs(rows[:, 1:]) <= FARTHEST).all(axis=1)  # NaN, too
        at = rows[:, 0]
        none = ~((at >= 0) & (at < maps) & (at == np.trunc(at)))
    check(far, f"corners that are near the picture; if a net made them, {DIVERGED}")
    numbers = "0, of the only one" if maps == 1 else f"0 to {maps - 1}"
    check(none, f"to begin with the number of its picture, {numbers}")
    return at.astype(np.int32), rows[:, 1:]


class RoiLayer(Layer):
    """Base of layers that pool regions (bottom 1) of maps (bottom 0) to a grid of bins each.

    What they fill in, beside forward and backward:

    bins: how many there are in a region, rows and columns
    spans(low, high, bins, size): the cells of each bin along an axis, see `kernels.rois`
    """

    drawn_as = "pooling"
    bottoms = 2
    regions = 1
    no_gradient = (1,)

    @property
    def bins(self):
        return self.options.pooled_h, self.options.pooled_w

    def setup(self, bottom_shapes):
        if not all(self.bins):
            raise self.error("pooled_h or pooled_w is missing: bins of a region, 1 or more")
        if not self.options.spatial_scale > 0:
            raise self.error(
                f"spatial_scale is {self.options.spatial_scale:g}, expected a number above 0: "
                "cells of the map for a pixel, such as 0.0625"
            )

    def infer_shapes(self, bottom_shapes):
        maps, rois = bottom_shapes
        if len(maps) != 4:
            raise self.shape_error(0, maps, "(N, C, height, width)")
        check_rois(self, 1, rois)
        return [(rois[0], maps[1], *self.bins)]

    def read(self, bottom):
        """(map of each region, spans of the rows of bins, those of the columns)"""
        maps = bottom[0].data
        image, corners = read_rois(self, 1, bottom[1], len(maps))
        scale = maps.dtype.type(self.options.spatial_scale)
        rows, columns = (
            self.spans(corners[:, axis], corners[:, axis + 2], scale, bins, size)
            for axis, bins, size in zip((1, 0), self.bins, maps.shape[2:], strict=True)
        )
        return image, rows, columns
