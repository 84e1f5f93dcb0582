"""Along one axis: which sizes a net takes, where its answers lie in them, and how tiles cover more.

Sizes of a net's input go in periods: where it takes n rows, it takes n + period, and the values of
its answer lie as before, with period / stride more of them. That holds for layers with windows; a
net with a layer of fixed size takes its own size alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ..errors import NetError
from ..layers.reach import Reach
from ..types import Array

MOST_PERIOD = 1024


class Tile(NamedTuple):
    """What of an axis a tile sees, and which places it answers: those from `low` to before `high`.

    It sees `size` places from `start` on; those below 0, or past the end, are mirrored.
    """

    start: int
    size: int
    low: float
    high: float

    def places(self, length: int) -> Array:
        """Which of `length` places it sees, those beyond the ends mirrored."""
        wrapped = np.arange(self.start, self.start + self.size) % (2 * length)
        return np.minimum(wrapped, 2 * length - 1 - wrapped)


class Axis:
    """One axis of a net's input, and of its answer.

    Parameters
    ----------
    own : the size that the net's text says
    count : how many values the answer has for an input of a size, None where the net refuses it
    reach : what the values see of the input, or None
    period : the least common multiple of the strides in the net
    """

    def __init__(
        self, own: int, count: Callable[[int], int | None], reach: Reach | None, period: int
    ) -> None:
        self.own, self.period, self.reach = own, period, reach
        self._counts: dict[int, int | None] = {}
        self._count = count
        made = self._told(own) or own
        if made == own:
            self.first, self.stride = 0.0, 1.0
        elif reach is not None and reach.step:
            self.stride = float(reach.stride)
            middles = [sum(reach.at(y)) / 2 - self.stride * y for y in range(reach.rounds)]
            self.first = float(np.mean(middles))
        else:
            self.stride = own / made
            self.first = (self.stride - 1) / 2
        self.takes_any = self._grows()
        self.before = math.ceil(self.first) if self.first >= self.stride else 0

    def _told(self, size: int) -> int | None:
        if size not in self._counts:
            self._counts[size] = self._count(size)
        return self._counts[size]

    def _grows(self) -> bool:
        """Whether the answer is a period longer where the input is."""
        sizes = range(self.own + 1, self.own + 1 + self.period)
        size = next((size for size in sizes if self._told(size) is not None), None)
        if self.period > MOST_PERIOD or size is None:
            return False
        fewer, more = self._told(size), self._told(size + self.period)
        if fewer is None or more is None:
            return False
        return math.isclose(more - fewer, self.period / self.stride)

    def _near(self, size: int) -> tuple[int, int]:
        """(a size near the net's own that goes as this one, how many periods are between)"""
        periods = max(0, (size - self.own) // self.period) if self.takes_any else 0
        return size - periods * self.period, periods

    def takes(self, size: int) -> bool:
        """Whether the net takes a size."""
        return self._told(self._near(size)[0]) is not None

    def count(self, size: int) -> int:
        """How many values the answer has for a size that the net takes."""
        near, periods = self._near(size)
        told = self._told(near)
        assert told is not None
        return told + round(periods * self.period / self.stride)

    def fitting(self, size: int) -> int:
        """The least size from `size` on that the net takes."""
        if not self.takes_any:
            return self.own
        return next(filter(self.takes, range(size, max(size, self.own) + self.period + 1)))

    def _end(self, size: int) -> float:
        """Where the answer to an input of that size ends."""
        return self.first + self.stride * self.count(size)

    def cover(self, length: int, tile: int | None = None, overlap: int | None = None) -> list[Tile]:
        """Tiles that together answer all of `length` places; one, if no size of a tile is given.

        They begin at multiples of the period, and the last one ends where one for all would, so
        that windows lie, and padding is, as in the whole. Each answers up to the middle of what it
        shares with the next one.
        """
        whole = self._whole(length)
        if tile is None or whole <= tile:
            return [Tile(-self.before, whole, 0, length)]
        if self.takes_any and tile < self.period:
            raise NetError(
                f"tiles of {tile} are too small: the net moves in steps of {self.period}; give "
                f"tiles of {self.fitting(self.period)} or more"
            )
        size = self.fitting(tile)
        step = self._step(size, self.usual_overlap(size) if overlap is None else overlap)
        last = max(0, math.ceil((whole - size) / self.period)) * self.period
        starts = [*range(0, last, step), last]
        sizes = [*[size] * (len(starts) - 1), whole - last]
        shared = (
            (start + self._end(size), after + self.first) for start, after in pairwise(starts)
        )
        bounds = [0, *(sum(edges) / 2 - self.before for edges in shared), length]
        return [
            Tile(start - self.before, size, low, high)
            for start, size, (low, high) in zip(starts, sizes, pairwise(bounds), strict=True)
        ]

    def _whole(self, length: int) -> int:
        """The least size whose answer has all of so many places, in tiles or at once."""
        if not self.takes_any:
            missing = self.before + length - self._end(self.own)
            return self.own + max(0, math.ceil(missing / self.period)) * self.period
        size = self.fitting(length + self.before)
        while self._end(size) <= self.before + length - 1:
            size = self.fitting(size + 1)
        return size

    def _step(self, size: int, overlap: int) -> int:
        """How far the next tile is."""
        answered = math.floor(self._end(size)) - math.ceil(self.first)
        step = (answered - overlap) // self.period * self.period
        if step < 1:
            most = answered - self.period
            way = f"an overlap of at most {most}" if most >= 0 else "larger tiles"
            raise NetError(
                f"tiles of {size} that overlap by {overlap} leave nothing to move on by: the net "
                f"answers {answered} of them and moves in steps of {self.period}; give {way}"
            )
        return step

    def usual_overlap(self, tile: int) -> int:
        """What tiles share if nothing is said: what a value sees, at most a quarter of a tile."""
        exact = self.exact_overlap(tile)
        return tile // 4 if exact is None else min(tile // 4, exact)

    def exact_overlap(self, tile: int) -> int | None:
        """From which overlap on tiles answer what the whole does, None where a value sees all.

        Tiles meet at a value or between two, of which both are read there. All that these see must
        be in the tile, the last place of which the end of its answer may lie behind.
        """
        if self.reach is None or not self.reach.step:
            return None
        middles = [self.first + self.stride * y for y in range(self.reach.rounds)]
        before = max(
            middle - start for middle, start in zip(middles, self.reach.starts, strict=True)
        )
        behind = max(end - middle for middle, end in zip(middles, self.reach.ends, strict=True))
        size = self.fitting(tile)
        behind += self._end(size) - (size - 1)
        return 2 * max(0, math.ceil(max(before - self.first, behind) + self.stride / 2))

    def answers_at(self, places: Array, tile: Tile) -> Array:
        """Where in the answer to a tile these places lie."""
        values = self.count(tile.size)
        return np.clip((places - tile.start - self.first) / self.stride, 0, values - 1)


def sampled(planes: Array, rows: Array, columns: Array) -> Array:
    """Planes read at rows and columns, bilinearly where these lie between values."""
    return _along(_along(planes, rows, 1), columns, 2)


def _along(planes, places, axis):
    low = places.astype(int)
    share = (places - low).astype(planes.dtype)
    if not share.any():
        if len(low) and np.array_equal(low, np.arange(low[0], low[0] + len(low))):
            return planes[(slice(None),) * axis + (slice(low[0], low[0] + len(low)),)]
        return planes.take(low, axis)
    share = share.reshape((-1,) + (1,) * (2 - axis))
    near, far = (planes.take(at, axis) for at in (low, np.minimum(low + 1, planes.shape[axis] - 1)))
    far -= near
    far *= share
    far += near
    return far
