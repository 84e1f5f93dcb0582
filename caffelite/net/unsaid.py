"""What a file leaves unsaid, since the fork of Caffe that it was written for goes by it anyway.

As Caffe reads such a file it runs, to another end. Whoever builds the net is told, `lint` tells,
and `caffelite upgrade --as-meant` writes it down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..errors import place, place_of
from ..layers import layer_class
from ..proto.caffe_pb2 import LayerParameter, NetParameter
from ..types import Shape
from .aligned import Made, made_bottoms, map_between
from .coordinates import AxisMismatchException, crop_of

Shapes = Callable[[int, int], Shape | None]  # of bottom k of the layer at a place, where known


class Unsaid(NamedTuple):
    """The place of a layer; the message and the switch that would say it; what to tell users."""

    place: int
    option: tuple[str, str]
    words: str


def unsaid(layers: Sequence[LayerParameter], shapes: Shapes) -> Iterator[Unsaid]:
    """All of it in the layers of a net in one state."""
    bottoms = made_bottoms(layers)
    for at, layer in enumerate(layers):
        if len(layer.bottom) != 2:
            continue
        kind = layer_class(layer.type)
        if kind.options_field == "crop_param" and (offset := _lies_at(at, layers, bottoms, shapes)):
            yield Unsaid(
                at,
                ("crop_param", "aligned"),
                f'no offset: the top starts at 0 of "{layer.bottom[0]}", but "{layer.bottom[1]}" '
                f"lies at {offset} of it, by the windows between; FCN's and HED's Caffe crop "
                "there: write crop_param { aligned: true }, or offset: 0 if 0 is meant",
            )
        elif kind.compares == "multilabel" and _is_unbalanced(layer, layers, bottoms[at]):
            yield Unsaid(
                at,
                ("loss_param", "class_balanced"),
                f'targets count alike, but HED\'s Caffe, whose data gives "{layer.bottom[1]}", '
                "weighs edges by the share of the other pixels, and these by that of edges: write "
                "loss_param { class_balanced: true }, or false if that is meant",
            )


def warnings(net: NetParameter, file: str, shapes: Shapes) -> Iterator[str]:
    """A line for each option that a net in one state leaves unsaid, of the first such layer."""
    found: dict[tuple[str, str], list[Unsaid]] = {}
    for one in unsaid(net.layer, shapes):
        found.setdefault(one.option, []).append(one)
    for first, *more in found.values():
        also = f"; so it is with {len(more)} more such layers" if more else ""
        way_out = "`caffelite upgrade --as-meant IN OUT` writes it"
        yield f"{place(**place_of(net.layer[first.place], file))}: {first.words}{also}; {way_out}"


def _lies_at(
    at: int,
    layers: Sequence[LayerParameter],
    bottoms: Sequence[Sequence[Made]],
    shapes: Shapes,
) -> str:
    """Where a Crop that says no offset should start, if that is elsewhere, and in its bottom."""
    options = layers[at].crop_param
    if options.offset or options.aligned:
        return ""
    try:
        with np.errstate(all="ignore"):  # of strides of 0, which are told elsewhere
            between = map_between(at, layers, bottoms)
            axis, offset = crop_of(between, rounds=True)
    except (AssertionError, RuntimeError, AxisMismatchException, KeyError, ValueError):
        return ""  # no crop lines them up: there is nothing to say instead
    if np.min(between[2]) > -1:  # less than a pixel: 0 is as near as what it rounds to
        return ""
    size, like = shapes(at, 0), shapes(at, 1)
    if size and like:
        space = zip(np.resize(offset, len(size[axis:])), size[axis:], like[axis:], strict=False)
        if any(start + wanted > there for start, there, wanted in space):
            return ""
    return ", ".join(map(str, offset if len(set(offset)) > 1 else offset[:1]))


def _is_unbalanced(
    loss: LayerParameter, layers: Sequence[LayerParameter], bottoms: Sequence[Made]
) -> bool:
    """Whether a loss gets labels of a source of HED's Caffe, and says not how they count."""
    source, _ = bottoms[1]
    return (
        source >= 0
        and layer_class(layers[source].type).gives_edges
        and not loss.loss_param.HasField("class_balanced")
    )
