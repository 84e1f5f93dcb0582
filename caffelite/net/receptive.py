"""Receptive fields: what values see of a net's input, through all the layers between."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from itertools import chain, repeat
from typing import Any

from ..layers.reach import HERE, MOST_ROUNDS, Reach, whole
from ..types import Shape
from .node import Node


def input_of(nodes: Sequence[Node]) -> tuple[str, Shape]:
    """(name, shape) of the input: the first blob that comes in with axes of space.

    Those are the axes behind its samples and channels. What is learned does not come in, and what
    fillers make counts where nothing else does. ("", ()) if there is none.
    """
    coming = [node for node in nodes if not (node.bottom_names or node.layer.learns)]
    for node in sorted(coming, key=lambda node: node.layer.role == "dummy"):
        for name, blob in zip(node.top_names, node.top_blobs, strict=True):
            if len(blob.shape) > 2:
                return name, blob.shape
    return "", ()


def receptive_fields(nodes: Sequence[Node]) -> dict[Node, list[Reach]]:
    """{node: [what values of its tops see along each of the input's axes of space]}, if any.

    A bottom that never gets a gradient is not seen. Where ways of different strides meet, or rounds
    would be too long, all values are taken to see what they see together.
    """
    source, shape = input_of(nodes)
    fields, known = dict[Node, list[Reach]](), {source: [HERE] * len(shape[2:])}
    for node in nodes:
        if source in node.top_names and not node.bottom_names:
            fields[node] = known[source]
        elif node.top_names and (ways := _ways(node, known)):
            sizes = chain(node.top_blobs[0].shape[2:], repeat(1))
            fields[node] = list(map(_together, zip(*ways, strict=True), sizes))
            known |= dict.fromkeys(node.top_names, fields[node])
    return fields


def _ways(node, known):
    """What the tops see of the input by way of each bottom."""
    ways = []
    for i, (name, blob) in enumerate(zip(node.bottom_names, node.bottom_blobs, strict=True)):
        if name in known and i not in node.layer.no_gradient:
            space = blob.shape[2:]
            reach = node.layer.reach(blob.shape, node.top_blobs[0].shape) or map(whole, space)
            # behind the last axis of a blob, all its values see the same
            along = chain(reach, repeat(HERE)), chain(space, repeat(1))
            ways.append(list(map(_through, known[name], *along)))
    return ways


def _through(way, reach, size):
    """What is seen through values along an axis of this size, of which `reach` is seen."""
    too_long = way.rounds * reach.rounds > MOST_ROUNDS
    return way.through(whole(size) if too_long else reach)


def _together(ways, size):
    """What one or the other way leads to, for values along an axis of this size."""
    rounds = math.lcm(*(way.rounds for way in ways))
    if len({way.stride for way in ways}) > 1 or rounds > MOST_ROUNDS:
        ways = [way.through(whole(size)) for way in ways]
    return reduce(Reach.beside, ways)


def seen(field: Reach, size: int) -> dict[str, Any]:
    """{"size", "stride", "offset"}: what the value at place y sees along an axis of this size.

    That is `size` places from stride * y + offset on, those beyond the borders counted. With
    stride 0 all values see the same, and only what is there counts.
    """
    if field.step:
        stride = field.stride
        whole_stride = int(stride) if stride.denominator == 1 else float(stride)
        return {"size": field.size, "stride": whole_stride, "offset": field.starts[0]}
    first, last = inside(field, 0, size)
    return {"size": last - first + 1, "stride": 0, "offset": first}


def inside(field: Reach, place: int, size: int) -> tuple[int, int]:
    """The first and the last of `size` places that the value at `place` sees."""
    first, last = field.at(place)
    return max(first, 0), min(last, size - 1)
