"""Which coordinate of one blob a coordinate of another stands for; crops that line blobs up.

Works on the Tops of `caffelite.net_spec`. A map is (axis, a, b), x -> a x + b, along all axes
after the channel axis `axis`; a and b have one value, or one an axis.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from google.protobuf.message import Message

from ..layers import layer_class
from .net_spec import Function, Top
from .net_spec import layers as L

Map = tuple[int | None, Any, Any]

IDENTITY: Map = (None, 1, 0)


class UndefinedMapException(Exception):
    """A layer type whose output coordinates stand for no input coordinate."""


class AxisMismatchException(Exception):
    """Maps along different axes."""


def coord_map(fn: Function) -> Map:
    """The map from coordinates of a layer's bottom to those of its top."""
    return _map_of(fn, 0)


def _map_of(fn: Function, index: int) -> Map:
    """The map from coordinates of bottom `index`."""
    found = layer_class(fn.type_name)
    options = fn.params.get(found.options_field or "", fn.params)
    if isinstance(options, Message):
        options = {field.name: value for field, value in options.ListFields()}
    known = found.coordinates(options, index)
    if known is None:
        raise UndefinedMapException(f"{fn.type_name} layers have no coordinate map")
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


def coord_map_from_to(top_from: Top, top_to: Top) -> Map:
    """The map from coordinates of one top to those of another, by a blob both come from."""
    ancestors = dict(_walk_back(top_from))
    for top, to_map in _walk_back(top_to):
        if top in ancestors:
            return compose(to_map, inverse(ancestors[top]))
    raise RuntimeError("the tops have no map: no layers that keep coordinates connect them")


def _walk_back(top: Top) -> Iterator[tuple[Top, Map]]:
    """Yield (ancestor, map from its coordinates to those of `top`), as far as there are maps."""
    frontier, seen = [(top, IDENTITY)], set[Top]()
    while frontier:
        top, to_map = frontier.pop()
        if top in seen:
            continue
        seen.add(top)
        yield top, to_map
        for index, bottom in enumerate(top.fn.inputs):
            with contextlib.suppress(UndefinedMapException):
                frontier.append((bottom, compose(to_map, _map_of(top.fn, index))))


def crop(top_from: Top, top_to: Top) -> Any:
    """A Crop layer: `top_from` cut to the size of `top_to`, where it lies over it."""
    axis, a, b = coord_map_from_to(top_from, top_to)
    assert np.all(a == 1), f"the tops differ in scale, by {a}: a crop cannot line them up"
    assert np.all(b <= 0), f"the crop would start before the blob, at {-b}"
    assert np.all(np.round(b) == b), f"the crop would start between coordinates, at {-b}"
    offset = [int(-shift) for shift in np.atleast_1d(np.round(b))]
    return L.Crop(
        top_from, top_to, crop_param=dict(axis=2 if axis is None else axis + 1, offset=offset)
    )
