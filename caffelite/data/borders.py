"""Steps that put a border around a picture, which grows; they are called as those of `geometry`."""

import numpy as np

from .. import rng
from ..errors import DataError
from .geometry import per_channel, resized_shape, window

_BLANK = ord(" ")


def on_canvas(image, height, width, top, left, values, boxes=None):
    """A canvas of this size and these values of channels, with the picture at a place of it."""
    canvas = np.empty(resized_shape(image.shape, height, width), np.uint8)
    for plane, value in zip(canvas, np.rint(values).astype(np.uint8).tolist(), strict=True):
        plane.fill(value)
    canvas[:, top : top + image.shape[1], left : left + image.shape[2]] = image
    if boxes is not None:
        boxes.cut(window(-top, -left, height, width, image.shape))
    return canvas


class PadTo:
    """Rows below and columns to the right, with the means of channels, up to height x width.

    As in DeepLab's ImageSegData, for pictures that are smaller than crop_size.
    """

    def __init__(self, size, means):
        self.size, self.means = size, means

    def __call__(self, image, random, boxes=None):
        size = tuple(max(pair) for pair in zip(self.size, image.shape[1:], strict=True))
        if size == image.shape[1:]:
            return image
        values = per_channel(self.means, image, "mean_value")
        return on_canvas(image, *size, 0, 0, values, boxes)


class Expand:
    """With probability `prob`, a canvas r times as high and wide with the picture on it, anywhere.

    r ~ U(1, max_expand_ratio). The canvas has the channels' means, or 0. Around a picture that is
    stored as pixels, and not as a file, it has 32 everywhere: SSD's Caffe writes a blank there,
    as text. Liu et al. 2016, SSD, arXiv:1512.02325, section 3.6.
    """

    def __init__(self, param, means):
        self.prob, self.most, self.means = param.prob, param.max_expand_ratio, means
        if not 0 <= self.prob <= 1:
            raise DataError(f"expand_param: prob: {self.prob:g}, expected 0 to 1")
        if not 1 <= self.most < np.inf:
            raise DataError(f"expand_param: max_expand_ratio: {self.most:g}, expected 1 or more")

    def __call__(self, image, random, boxes=None):
        if random.random() > self.prob or self.most < 1.01:
            return image
        ratio = rng.uniform(random, 1, self.most)
        old_height, old_width = image.shape[1:]
        height, width = int(old_height * ratio), int(old_width * ratio)
        resized_shape(image.shape, height, width)  # is not too much
        top, left = random.integers((height - old_height + 1, width - old_width + 1)).tolist()
        means = [_BLANK] if boxes is not None and boxes.raw else self.means
        values = per_channel(means, image, "mean_value")
        return on_canvas(image, height, width, top, left, values, boxes)
