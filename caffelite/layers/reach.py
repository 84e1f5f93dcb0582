"""What values see along an axis of a blob before them: of a layer's bottom, of a net's input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

MOST_ROUNDS = 1024  # a Deconvolution may have any stride


class Reach(NamedTuple):
    """The value at place y sees the places from starts[y] to ends[y], borders not heeded.

    Further on it goes in rounds: `rounds` places on, all is seen `step` places further on. With
    step 0, all values see the same.
    """

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    step: int

    @property
    def rounds(self) -> int:
        return len(self.starts)

    def at(self, place: int) -> tuple[int, int]:
        """The first and the last place that the value at `place` sees."""
        turn, y = divmod(place, self.rounds)
        return self.starts[y] + turn * self.step, self.ends[y] + turn * self.step

    def through(self, reach: Reach) -> Reach:
        """What values see by way of a blob whose values see this, of which they see `reach`."""
        turns = self.rounds // math.gcd(self.rounds, reach.step)
        read = [reach.at(y) for y in range(turns * reach.rounds)]
        starts = tuple(self.at(first)[0] for first, _ in read)
        ends = tuple(self.at(last)[1] for _, last in read)
        return Reach(starts, ends, int(self.stride * reach.step * turns))

    def beside(self, other: Reach) -> Reach:
        """What values see by two ways of one stride."""
        places = range(math.lcm(self.rounds, other.rounds))
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
        return Fraction(self.step, self.rounds)


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


def between(size: int, places: int, first: int = 0) -> Reach:
    """The two of `size` places, from `first` on, next to each of `places` spread evenly over them.

    The outermost are on each other. Where that comes in too many rounds, all are seen.
    """
    way = Fraction(size - 1, places - 1) if places > 1 else Fraction(0)
    return _next_to(Fraction(0), way, size, first)


def within(size: int, places: int, first: int = 0) -> Reach:
    """`between`, where it is the borders that are on each other: the outermost lie within."""
    way = Fraction(size, places)
    return _next_to((way - 1) / 2, way, size, first)


def _next_to(start: Fraction, way: Fraction, size: int, first: int) -> Reach:
    """The two places next to start + y * way."""
    if way.denominator > MOST_ROUNDS:
        return Reach((first,), (first + size - 1,), 0)
    at = [start + y * way for y in range(way.denominator)]
    starts = tuple(first + math.floor(y) for y in at)
    ends = tuple(first + math.ceil(y) for y in at)
    return Reach(starts, ends, way.numerator)


def spread(
    kernel: Sequence[int], stride: Sequence[int], pad: Sequence[int], dilation: Sequence[int]
) -> list[Reach] | None:
    """The places from which a window over the top, one for each, reaches the value: an axis each.

    None with strides above MOST_ROUNDS.
    """
    if max(stride, default=1) > MOST_ROUNDS:
        return None
    return list(map(_spread, kernel, stride, pad, dilation))


def _spread(kernel, stride, pad, dilation):
    padded, extent = range(pad, pad + stride), dilation * (kernel - 1)
    starts = tuple(-(-(y - extent) // stride) for y in padded)
    ends = tuple(max(start, y // stride) for start, y in zip(starts, padded, strict=True))
    return Reach(starts, ends, 1)
