"""The boxes of a picture, in fractions of its sides, and what becomes of them where it changes."""

from __future__ import annotations

import copy

import numpy as np

from ..proto.caffe_pb2 import EmitConstraint
from ..types import Array, ArrayLike
from .follower import Follower, Window

WHOLE = 0.0, 0.0, 1.0, 1.0
COLUMNS = 8  # of a row that stands for a box: see `Boxes.rows`


class Boxes(Follower):
    """The boxes of a picture; what moves its pixels moves them along, in place.

    Parameters
    ----------
    corners : n x 4: xmin, ymin, xmax, ymax, in fractions of the picture's width and height
    labels : n numbers of classes; 0 is background
    difficult : n truth values: whether a box is hard to see, and need not be found
    instances : n numbers that tell boxes of one label apart, by default counted from 0 for each

    With `emit` set to an EmitConstraint, boxes that are cut off too far by a crop are left out;
    with `uncut`, those that are left keep what reaches beyond the picture.
    """

    def __init__(
        self,
        corners: ArrayLike = (),
        labels: ArrayLike = (),
        difficult: ArrayLike | None = None,
        instances: ArrayLike | None = None,
    ) -> None:
        self.corners = np.array(corners, np.float32).reshape(-1, 4)
        self.labels = np.array(labels, np.int32).reshape(-1)
        count = len(self.labels)
        self.difficult = np.array(np.zeros(count) if difficult is None else difficult, bool)
        self.instances = (
            _counted(self.labels) if instances is None else np.array(instances, np.int32)
        )
        if not len(self.corners) == len(self.difficult) == len(self.instances) == count:
            raise ValueError(f"{count} labels, and other counts of corners, difficult or instances")
        self.emit: EmitConstraint | None = None
        self.uncut = False
        self.stretch = 1.0, 1.0  # factors of x and y, once all is cut
        self.raw = False  # whether the picture is stored as pixels, not as a file
        self.of_picture: int | None = None  # its own label, where it has that instead of boxes
        self.regions: Boxes | None = None  # where there may be an object, if these were asked for

    def copy(self) -> Boxes:
        """The same boxes, to be moved by themselves."""
        made = copy.copy(self)
        made.corners = self.corners.copy()  # the rest is never changed in place
        return made

    def __len__(self) -> int:
        return len(self.labels)

    def sound(self) -> Array:
        """Which boxes are some: of numbers, with an area, at least in part within the picture."""
        low, high = self.corners[:, :2], self.corners[:, 2:]
        return np.asarray(((low < high) & (low < 1) & (high > 0)).all(axis=1))

    def faults(self) -> list[tuple[int, str]]:
        """(number, what is wrong) of each box that is none."""
        return [(int(n), _fault(self.corners[n])) for n in np.flatnonzero(~self.sound())]

    def rows(self, item: int = 0) -> Array:
        """n x 8: item, label, instance, xmin, ymin, xmax, ymax, difficult, as SSD's layers take."""
        rows = np.empty((len(self), COLUMNS), np.float32)
        rows[:, 0], rows[:, 1], rows[:, 2] = item, self.labels, self.instances
        rows[:, 3:7], rows[:, 7] = self.corners, self.difficult
        return rows

    def centers(self) -> Array:
        """n x 4: the middle x and y of each box, its width and its height."""
        low, high = self.corners[:, :2], self.corners[:, 2:]
        return np.concatenate([(low + high) / 2, high - low], axis=1)

    def keep(self, wanted: Array) -> None:
        """Leave out all but the boxes that `wanted` says, a truth value each."""
        self.corners, self.labels = self.corners[wanted], self.labels[wanted]
        self.difficult, self.instances = self.difficult[wanted], self.instances[wanted]

    def cut(self, window: Window, pixels: Window | None = None) -> None:
        """Follow a picture of which that part is left: xmin, ymin, xmax, ymax; not `pixels`.

        Boxes are cut off at its edges, and left out where nothing of them is left, or where `emit`
        says so. A window may be larger than the picture, which then gets a border.
        """
        if window == WHOLE and self._are_whole():
            return
        x1, y1, x2, y2 = window
        corners = self.corners
        kept = np.all((corners[:, :2] < (x2, y2)) & (corners[:, 2:] > (x1, y1)), axis=1)
        if self.emit is not None:
            kept &= emitted(corners, window, self.emit)
        width, height = x2 - x1, y2 - y1
        start, sides = (np.array(pair * 2, np.float32) for pair in ((x1, y1), (width, height)))
        self.corners = (corners - start) / sides
        if not self.uncut:
            self.corners = self.corners.clip(0, 1)
        kept &= np.all(self.corners[:, 2:] > self.corners[:, :2], axis=1)
        if not kept.all():
            self.keep(kept)

    def _are_whole(self) -> bool:
        """Whether nothing of any box is to be cut off at the edges of the picture."""
        if not len(self):
            return True
        all_of_it = self.emit is None or self.emit.emit_overlap < 1
        inside = self.corners.min() >= 0 and self.corners.max() <= 1
        return bool(all_of_it and inside and self.sound().all())

    def resize(self, width: float = 1, height: float = 1) -> None:
        """Follow a picture that fills so much of the new one, in its middle; the rest is a border.

        No box begins before the picture; behind its end one may reach into the border.
        """
        share = np.array([width, height], np.float32)
        np.maximum(self.corners[:, :2], 0, out=self.corners[:, :2])
        np.minimum(self.corners[:, 2:], 1 / share, out=self.corners[:, 2:])
        if width == height == 1:
            return
        self.corners = self.corners * np.tile(share, 2) + np.tile((1 - share) / 2, 2)

    def pad(self, window: Window) -> None:
        """Nothing: `resize` reckons without whole pixels, as SSD's Caffe does."""

    def warp(self, back: Array, away: Array, size: tuple[int, int]) -> None:
        """Follow a picture of this (height, width) that is warped, see `kernels.warp.warp`.

        A box becomes the smallest one around what becomes of it. Without `away`, that is around
        its four corners, which a rotation moves outwards.
        """
        if away.size:
            self._gather(back, away, size)
        else:
            forth = np.linalg.inv(back[:, :2])
            x, y = self.corners[:, [0, 2, 0, 2]], self.corners[:, [1, 1, 3, 3]]
            places = np.stack([y * size[0], x * size[1]]) - 0.5  # of pixels, whose middles count
            moved = np.einsum("ij,jnk->ink", forth, places - back[:, 2, None, None]) + 0.5
            y, x = moved[0] / size[0], moved[1] / size[1]
            hull = [x.min(axis=1), y.min(axis=1), x.max(axis=1), y.max(axis=1)]
            self.corners = np.stack(hull, axis=1).astype(np.float32)
        self.cut(WHOLE)

    def _gather(self, back: Array, away: Array, size: tuple[int, int]) -> None:
        """Let each box go around the pixels whose values come from it."""
        i, j = np.indices(size)
        y, x = np.einsum("kl,lij->kij", back, np.stack([i, j, np.ones(size)])) + away + 0.5
        y, x = y / size[0], x / size[1]
        for n, (x1, y1, x2, y2) in enumerate(self.corners.tolist()):
            rows, columns = np.nonzero((x >= x1) & (x <= x2) & (y >= y1) & (y <= y2))
            if len(rows):
                first = columns.min() / size[1], rows.min() / size[0]
                last = (columns.max() + 1) / size[1], (rows.max() + 1) / size[0]
                self.corners[n] = *first, *last
            else:
                self.corners[n] = 0

    def mirror(self) -> None:
        """Follow a picture whose left and right change places."""
        self.corners[:, [0, 2]] = 1 - self.corners[:, [2, 0]]

    def mirror_vertical(self) -> None:
        """Follow a picture that is turned upside down."""
        self.corners[:, [1, 3]] = 1 - self.corners[:, [3, 1]]

    def finish(self, window: Window, mirrored: bool, size: tuple[int, int] | None = None) -> None:
        """Follow the last crop, and perhaps mirroring; then come factors that resizing asks for."""
        super().finish(window, mirrored, size)
        self._stretch(window, *self.stretch)

    def _stretch(self, window: Window, x: float, y: float) -> None:
        if (x, y) != (1, 1):
            x, y = x * (window[2] - window[0]), y * (window[3] - window[1])
            self.corners *= np.array([x, y, x, y], np.float32)


class BoxesWith(Boxes):
    """The Boxes of a picture, and with them another Follower, `other`, that follows as they do."""

    def __init__(self, boxes: Boxes, other: Follower) -> None:
        vars(self).update(vars(boxes.copy()))
        self.other = other

    def cut(self, window: Window, pixels: Window | None = None) -> None:
        super().cut(window, pixels)
        self.other.cut(window, pixels)

    def resize(self, width: float = 1, height: float = 1) -> None:
        super().resize(width, height)
        self.other.resize(width, height)

    def pad(self, window: Window) -> None:
        super().pad(window)
        self.other.pad(window)

    def warp(self, back: Array, away: Array, size: tuple[int, int]) -> None:
        super().warp(back, away, size)
        self.other.warp(back, away, size)

    def mirror(self) -> None:
        super().mirror()
        self.other.mirror()

    def mirror_vertical(self) -> None:
        super().mirror_vertical()
        self.other.mirror_vertical()


def _fault(corners: Array) -> str:
    if not np.isfinite(corners).all():
        return "is not made of numbers"
    return "lies outside" if (corners[:2] < corners[2:]).all() else "has no area"


def emitted(corners: Array, window: Window, constraint: EmitConstraint) -> Array:
    """Which boxes, n x 4, a crop to a window lets through: a truth value each.

    CENTER: whose middle lies in it. MIN_OVERLAP: of which more than emit_overlap lies in it.
    """
    x1, y1, x2, y2 = window
    if constraint.emit_type == EmitConstraint.CENTER:
        x, y = corners[:, [0, 2]].mean(axis=1), corners[:, [1, 3]].mean(axis=1)
        return (x >= x1) & (x <= x2) & (y >= y1) & (y <= y2)
    sides = corners[:, 2:] - corners[:, :2]
    inside = np.minimum(corners[:, 2:], [x2, y2]) - np.maximum(corners[:, :2], [x1, y1])
    share = inside.clip(0).prod(axis=1) / np.maximum(sides.prod(axis=1), 1e-12)
    return share > constraint.emit_overlap


def _counted(labels: Array) -> Array:
    """For each label, how many of its kind come before it."""
    return np.array([np.sum(labels[:i] == label) for i, label in enumerate(labels)], np.int32)
