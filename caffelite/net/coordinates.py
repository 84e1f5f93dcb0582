"""Which coordinate of one blob a coordinate of another stands for.

A map is (axis, a, b), x -> a x + b, along all axes after the channel axis `axis`, where None stands
for any; a and b have one value, or one an axis. What layers do to coordinates they say themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
from google.protobuf.message import Message

from ..layers import layer_class

Map = tuple[int | None, Any, Any]
Blob = TypeVar("Blob", bound=Hashable)

IDENTITY: Map = (None, 1, 0)


class UndefinedMapException(Exception):
    """A layer type whose output coordinates stand for no input coordinate."""


class AxisMismatchException(Exception):
    """Maps along different axes."""


def map_of(type_name: str, options: Any, index: int) -> Map:
    """The map from coordinates of a layer's bottom `index` to those of its tops.

    `options` are {name: value}, or the message that the layer reads.
    """
    if isinstance(options, Message):
        options = {field.name: value for field, value in options.ListFields()}
    known = layer_class(type_name).coordinates(options, index)
    if known is None:
        raise UndefinedMapException(f"{type_name} layers have no coordinate map")
    return known


def compose(base_map: Map, next_map: Map) -> Map:
    """x -> base_map(next_map(x))"""
    (axis1, a1, b1), (axis2, a2, b2) = base_map, next_map
    if None not in (axis1, axis2) and axis1 != axis2:
        raise AxisMismatchException(f"maps along axis {axis1} and along axis {axis2}")
    return axis2 if axis1 is None else axis1, a1 * a2, a1 * b2 + b1


def inverse(coord_map: Map) -> Map:
    """y -> x, where the map is x -> y."""
    axis, a, b = coord_map
    return axis, 1 / a, -b / a


def from_to(start: Blob, end: Blob, made_of: Callable[[Blob], Iterable[tuple[Blob, Map]]]) -> Map:
    """The map from coordinates of blob `start` to those of `end`, by a blob both come from.

    `made_of` gives what a blob is made of, with the map from each, as far as there is one.
    """
    ancestors = dict(_walk_back(start, made_of))
    for blob, to_map in _walk_back(end, made_of):
        if blob in ancestors:
            return compose(to_map, inverse(ancestors[blob]))
    raise RuntimeError("the tops have no map: no layers that keep coordinates connect them")


def _walk_back(
    blob: Blob, made_of: Callable[[Blob], Iterable[tuple[Blob, Map]]]
) -> Iterator[tuple[Blob, Map]]:
    """Yield (ancestor, map from its coordinates to those of `blob`), as far as there are maps."""
    frontier: list[tuple[Blob, Map]] = [(blob, IDENTITY)]
    seen: set[Blob] = set()
    while frontier:
        blob, to_map = frontier.pop()
        if blob not in seen:
            seen.add(blob)
            yield blob, to_map
            frontier += [(before, compose(to_map, known)) for before, known in made_of(blob)]


def crop_of(coord_map: Map, rounds: bool = False) -> tuple[int, list[int]]:
    """(axis, offset) of a crop of one blob to where another lies, by the map between them.

    An AssertionError where no crop lines them up; one between coordinates may do, if it `rounds`.
    """
    axis, a, b = coord_map
    assert np.all(a == 1), f"the tops differ in scale, by {a}: a crop cannot line them up"
    assert np.all(b <= 0), f"the crop would start before the blob, at {-b}"
    whole = np.floor(-np.atleast_1d(b) + 0.5)
    assert rounds or np.all(whole == -b), f"the crop would start between coordinates, at {-b}"
    return (2 if axis is None else axis + 1), [int(shift) for shift in whole]
