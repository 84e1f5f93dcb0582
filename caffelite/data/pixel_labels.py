"""The labels of a picture's pixels, and what becomes of them where it moves."""

import numpy as np

from .boxes import BoxesWith
from .follower import Follower
from .label_pictures import VOID


class PixelLabels(Follower):
    """Labels, height x width, that follow a picture: each new pixel has that of the nearest one.

    What is done to the picture is noted, and labels are looked up once, at the end, so that none is
    moved twice. Where there is no picture, the label is `void`. The labels may be fewer than the
    pixels.
    """

    def __init__(self, labels, void=VOID):
        self.labels, self.void = labels, void
        self.size = labels.shape  # height, width of the picture at the end
        self._moves = []  # functions of arrays (y, x), places in the new picture: in the old one

    def cut(self, window, pixels=None):
        left, top, right, bottom = window = pixels or window
        if window != (0, 0, 1, 1):
            self._moves.append(
                lambda y, x: (top + y * (bottom - top), left + x * (right - left)),
            )

    pad = cut

    def resize(self, width=1, height=1):
        """Nothing: see `pad`."""

    def warp(self, back, away, size):
        height, width = size

        def move(y, x):
            i, j = y * height - 0.5, x * width - 0.5
            v, u = (row[0] * i + row[1] * j + row[2] for row in back)
            if away.size:
                at = tuple(
                    np.rint(each).astype(int).clip(0, side - 1)
                    for each, side in zip((i, j), size, strict=True)
                )
                v, u = v + away[0][at], u + away[1][at]
            return (v + 0.5) / height, (u + 0.5) / width

        self._moves.append(move)

    def mirror(self):
        self._moves.append(lambda y, x: (y, 1 - x))

    def mirror_vertical(self):
        self._moves.append(lambda y, x: (1 - y, x))

    def finish(self, window, mirrored, size=None):
        super().finish(window, mirrored, size)
        self.size = size or self.size

    def picture(self, factor=1):
        """The labels of the picture as it is now, 1 x height x width; 1 for `factor` pixels."""
        size = tuple(side // factor for side in self.size)
        if not self._moves and size == self.labels.shape:
            return self.labels[None]
        y, x, inside = self._places(*size)
        rows, columns = (
            (each * side).astype(int).clip(0, side - 1)
            for each, side in zip((y, x), self.labels.shape, strict=True)
        )
        return np.where(inside, self.labels[rows, columns], self.void)[None]

    def there(self):
        """(rows, columns) of the picture as it is now that have something of the one it was."""
        if not self._moves:
            return self.size
        inside = self._places(*self.size)[2]
        return inside.any(axis=1).sum(), inside.any(axis=0).sum()

    def _places(self, height, width):
        """(y, x, inside): where so many rows and columns were, and whether that is in there."""
        y, x = np.indices((height, width))
        y, x = (y + 0.5) / height, (x + 0.5) / width
        inside = np.ones((height, width), bool)
        for move in reversed(self._moves):
            y, x = move(y, x)
            inside &= (y >= 0) & (y < 1) & (x >= 0) & (x < 1)
        return y, x, inside


class BoxesAndPixels(BoxesWith):
    """The Boxes of a picture, and with them the labels of its pixels, `pixels`, a PixelLabels."""

    def __init__(self, boxes, pixels):
        super().__init__(boxes, pixels)
        self.pixels = pixels

    def finish(self, window, mirrored, size=None):
        super().finish(window, mirrored, size)  # which cuts and mirrors, that is, labels too
        self.pixels.size = size or self.pixels.size


def pictures_of(labels, factor=1):
    """[array]: the pictures of several PixelLabels, n x 1 x height x width."""
    return [np.stack([one.picture(factor) for one in labels])]
