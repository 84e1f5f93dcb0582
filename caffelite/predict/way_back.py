"""Where in a picture is what lies at a place of a net's input."""

from __future__ import annotations

import numpy as np

from ..data.follower import Follower, Window
from ..types import Array


class WayBack(Follower):
    """input = factor * picture + shift, of x and of y, both in fractions of the sides.

    It goes through a DataTransformer in place of a picture's boxes, and follows as these do what is
    done to the pixels.
    """

    def __init__(self) -> None:
        self.factor, self.shift = np.ones(2), np.zeros(2)
        self.emit = None
        self.stretch = 1.0, 1.0
        self.scale: float | None = None  # what a ShortSide multiplied the sides by
        self.regions: Array = np.empty((0, 4))  # of the picture, in fractions of its sides

    def _follow(self, factor: Array, shift: Array) -> None:
        self.factor, self.shift = self.factor * factor, self.shift * factor + shift

    def resize(self, width: float = 1, height: float = 1) -> None:
        """Follow a picture that fills so much of the new one, in its middle."""
        share = np.array([width, height])
        self._follow(share, (1 - share) / 2)

    def pad(self, window: Window) -> None:
        """Nothing, as of Boxes."""

    def cut(self, window: Window, pixels: Window | None = None) -> None:
        """Follow a picture of which the part xmin, ymin, xmax, ymax is left, as Boxes do."""
        low, high = np.array(window).reshape(2, 2)
        self._follow(1 / (high - low), -low / (high - low))

    def mirror(self) -> None:
        """Follow a picture whose left and right change places."""
        self._follow(np.array([-1, 1]), np.array([1, 0]))

    def finish(self, window: Window, mirrored: bool, size: tuple[int, int] | None = None) -> None:
        """Follow the last crop, and perhaps mirroring; then come factors that resizing asks for."""
        super().finish(window, mirrored, size)
        if tuple(self.stretch) != (1, 1):
            low, high = np.array(window).reshape(2, 2)
            self._follow(np.array(self.stretch) * (high - low), np.zeros(2))

    def regions_in_pixels(self, size: tuple[int, int], scale: float) -> Array:
        """n x 5: 0, and the corners of regions in pixels of the input, see `ScaledBoxes`."""
        corners = (self.regions.reshape(-1, 2, 2) * self.factor + self.shift).clip(0, 1)
        corners = (corners * size[::-1]).reshape(-1, 4)
        corners[:, 2:] = np.maximum(corners[:, 2:] - scale, corners[:, :2])
        return np.column_stack([np.zeros(len(corners)), corners])

    def boxes(self, boxes: Array, width: int, height: int) -> Array:
        """Boxes, n x 4 in fractions of the input, in the picture's pixels, cut off at its edges."""
        corners = (boxes.reshape(-1, 2, 2) - self.shift) / self.factor
        corners = np.sort(corners, axis=1) * [width, height]  # mirrored ones end where they began
        return corners.clip(0, [width, height]).reshape(-1, 4)
