"""Crops that say no offset, but that it is where their second bottom lies in the first.

So it was with the Crop of FCN's Caffe, and U-Net's, when layers had the old form: the offset
follows from the kernels, strides and paddings of the layers on the way from a common blob to both.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from ..errors import NetError, place_of
from ..layers import layer_class
from ..proto.caffe_pb2 import LayerParameter, NetParameter
from .coordinates import Map, UndefinedMapException, crop_of, from_to, map_of

Made = tuple[int, str]  # a blob: the place of the layer that made it, or changed it, and its name


def with_offsets(net: NetParameter, file: str = "") -> NetParameter:
    """A copy of `net` in which each Crop with `aligned` has the offset that this comes to."""
    if not any(layer.crop_param.aligned for layer in net.layer):
        return net
    found = NetParameter()
    found.CopyFrom(net)
    bottoms = made_bottoms(found.layer)
    for place, layer in enumerate(found.layer):
        if layer.crop_param.aligned and len(layer.bottom) == 2:
            _align(place, found.layer, bottoms, file)
    return found


def made_bottoms(layers: Sequence[LayerParameter]) -> list[list[Made]]:
    """What each layer reads; -1 stands for what no layer made."""
    bottoms, last = list[list[Made]](), dict[str, int]()
    for place, layer in enumerate(layers):
        bottoms.append([(last.get(name, -1), name) for name in layer.bottom])
        last.update(dict.fromkeys(layer.top, place))
    return bottoms


def map_between(
    place: int, layers: Sequence[LayerParameter], bottoms: Sequence[Sequence[Made]]
) -> Map:
    """The map from coordinates of the first bottom of the layer there to those of its second."""

    def made_of(blob: Made) -> Iterator[tuple[Made, Map]]:
        at, _ = blob
        for index, bottom in enumerate(bottoms[at] if at >= 0 else ()):
            with contextlib.suppress(UndefinedMapException):
                layer = layers[at]
                field = layer_class(layer.type).options_field
                yield bottom, map_of(layer.type, getattr(layer, field) if field else {}, index)

    return from_to(bottoms[place][0], bottoms[place][1], made_of)


def _align(
    place: int,
    layers: Sequence[LayerParameter],
    bottoms: Sequence[Sequence[Made]],
    file: str,
) -> None:
    crop = layers[place]
    options = crop.crop_param
    if options.offset:
        raise NetError(
            "has an offset, and aligned, which finds it: keep one", **place_of(crop, file)
        )
    try:
        known = map_between(place, layers, bottoms)
        options.axis, options.offset[:] = crop_of(known, rounds=True)
    except KeyError:
        return  # a layer on the way has no kernel_size, and tells so itself
    except (AssertionError, RuntimeError) as problem:
        words = f'aligned: "{crop.bottom[0]}" and "{crop.bottom[1]}": {problem}'
        raise NetError(words, **place_of(crop, file)) from None
    options.ClearField("aligned")
