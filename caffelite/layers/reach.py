"""What values see along an axis of a blob before them: of a layer's bottom, of a net's input."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple


class Reach(NamedTuple):
    """The value at place y sees the places from starts[y] to ends[y], borders not heeded.

    Further on it goes in rounds: `len(starts)` places on, all is seen `step` places further on.
    With step 0, all values see the same.
    """

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    step: int

    def at(self, place: int) -> tuple[int, int]:
        """The first and the last place that the value at `place` sees."""
        turn, y = divmod(place, len(self.starts))
        return self.starts[y] + turn * self.step, self.ends[y] + turn * self.step

    def through(self, reach: Reach) -> Reach:
        """What values see by way of a blob whose values see this, of which they see `reach`."""
        turns = len(self.starts) // math.gcd(len(self.starts), reach.step)
        read = [reach.at(y) for y in range(turns * len(reach.starts))]
        starts = tuple(self.at(first)[0] for first, _ in read)
        ends = tuple(self.at(last)[1] for _, last in read)
        return Reach(starts, ends, int(self.stride * reach.step * turns))

    def beside(self, other: Reach) -> Reach:
        """What values see by two ways of one stride."""
        places = range(math.lcm(len(self.starts), len(other.starts)))
        starts = tuple(min(self.at(y)[0], other.at(y)[0]) for y in places)
        ends = tuple(max(self.at(y)[1], other.at(y)[1]) for y in places)
        return Reach(starts, ends, int(self.stride * len(places)))

    @property
    def size(self) -> int:
        """How many places a value sees, the most of them."""
        return max(end - start + 1 for start, end in zip(self.starts, self.ends, strict=True))

    @property
    def stride(self) -> Fraction:
        """How much further on the next value sees, on average."""
        return Fraction(self.step, len(self.starts))


def shifted(by: int) -> Reach:
    """The place `by` further on, alone."""
    return Reach((by,), (by,), 1)


HERE = shifted(0)


def whole(size: int) -> Reach:
    """All of an axis of this size."""
    return Reach((0,), (size - 1,), 0)


def window(kernel: int, stride: int, pad: int, dilation: int = 1) -> Reach:
    """A window that slides over the bottom."""
    return Reach((-pad,), (dilation * (kernel - 1) - pad,), stride)


def spread(kernel: int, stride: int, pad: int, dilation: int = 1) -> Reach:
    """The places from which a window over the top, one for each, reaches the value."""
    padded, extent = range(pad, pad + stride), dilation * (kernel - 1)
    starts = tuple(-(-(y - extent) // stride) for y in padded)
    ends = tuple(max(start, y // stride) for start, y in zip(starts, padded, strict=True))
    return Reach(starts, ends, 1)
