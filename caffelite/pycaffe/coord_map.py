"""Which coordinate of one blob a coordinate of another stands for; crops that line blobs up.

Works on the Tops of `caffelite.net_spec`. A map is (axis, a, b), x -> a x + b, along all axes
after the channel axis `axis`; a and b have one value, or one an axis.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ..layers import layer_class
from ..net.coordinates import (
    AxisMismatchException,
    Map,
    UndefinedMapException,
    compose,
    crop_of,
    from_to,
    inverse,
    map_of,
)
from .net_spec import Function, Top
from .net_spec import layers as L

__all__ = [
    "AxisMismatchException",
    "UndefinedMapException",
    "compose",
    "coord_map",
    "coord_map_from_to",
    "crop",
    "inverse",
]


def coord_map(fn: Function) -> Map:
    """The map from coordinates of a layer's bottom to those of its top."""
    return _map_of(fn, 0)


def _map_of(fn: Function, index: int) -> Map:
    options = fn.params.get(layer_class(fn.type_name).options_field or "", fn.params)
    return map_of(fn.type_name, options, index)


def coord_map_from_to(top_from: Top, top_to: Top) -> Map:
    """The map from coordinates of one top to those of another, by a blob both come from."""
    return from_to(top_from, top_to, _made_of)


def _made_of(top: Top) -> Iterator[tuple[Top, Map]]:
    for index, bottom in enumerate(top.fn.inputs):
        with contextlib.suppress(UndefinedMapException):
            yield bottom, _map_of(top.fn, index)


def crop(top_from: Top, top_to: Top) -> Any:
    """A Crop layer: `top_from` cut to the size of `top_to`, where it lies over it."""
    axis, offset = crop_of(coord_map_from_to(top_from, top_to))
    return L.Crop(top_from, top_to, crop_param=dict(axis=axis, offset=offset))
