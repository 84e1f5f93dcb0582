"""What belongs to places of a picture, and moves along with its pixels: boxes, labels of pixels."""

from __future__ import annotations

from typing import TypeAlias

from ..types import Array

Window: TypeAlias = tuple[float, float, float, float]
"""xmin, ymin, xmax, ymax of a part of a picture, in fractions of its sides."""


class Follower:
    """Follows what steps do to the pixels of a picture, in place; see `geometry` and `transform`.

    Places are fractions of the picture's sides, so that a picture that is resized as a whole needs
    not be told of.
    """

    raw: bool = False  # whether the picture is stored as pixels, not as a file

    def cut(self, window: Window, pixels: Window | None = None) -> None:
        """That part is left of the picture; it may reach beyond it, where a border is added.

        `pixels` is the part in whole pixels, where SSD's Caffe reckons boxes by another one.
        """
        raise NotImplementedError(f"{type(self).__name__}.cut")

    def resize(self, width: float = 1, height: float = 1) -> None:
        """The picture is resized, and fills so much of the new one, in its middle; see `pad`."""
        raise NotImplementedError(f"{type(self).__name__}.resize")

    def pad(self, window: Window) -> None:
        """That is the new picture, in whole pixels, of a picture that was resized, see `resize`."""
        raise NotImplementedError(f"{type(self).__name__}.pad")

    def warp(self, back: Array, away: Array, size: tuple[int, int]) -> None:
        """The picture, of this (height, width), is warped, see `kernels.warp.warp`."""
        raise NotImplementedError(f"{type(self).__name__}.warp")

    def mirror(self) -> None:
        """Left and right change places."""
        raise NotImplementedError(f"{type(self).__name__}.mirror")

    def mirror_vertical(self) -> None:
        """The picture is turned upside down."""
        raise NotImplementedError(f"{type(self).__name__}.mirror_vertical")

    def finish(self, window: Window, mirrored: bool, size: tuple[int, int] | None = None) -> None:
        """The last crop, of this (height, width), and perhaps mirroring."""
        self.cut(window)
        if mirrored:
            self.mirror()
