"""Weights that predict normalized codes of boxes, and what files have of them.

Where a loss compares codes with targets that were normalized, (code - mean) / std, the layer that
predicts them learns such codes. As py-faster-rcnn does, files hold weights of which plain codes
come, w * std and b * std + mean, so that a net for use needs no more than the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..blob import Blob
from ..types import Array
from .node import Node
from .passes import is_inserted

if TYPE_CHECKING:
    from .net import Net


class Scale(NamedTuple):
    """plain = values * factor + shift, in the shape of a blob."""

    factor: Array
    shift: Array

    def plain(self, values: Array) -> Array:
        return (values * self.factor + self.shift).astype(values.dtype)

    def normalized(self, values: Array) -> Array:
        return ((values - self.shift) / self.factor).astype(values.dtype)


def scales_of(net: Net) -> dict[Blob, Scale]:
    """{learnable blob: its Scale} of a net, of those that predict normalized codes."""
    found: dict[Blob, Scale] = {}
    for place, node in enumerate(net.nodes):
        if node.layer.compares != "values" or len(node.bottom_names) < 2:
            continue
        target = _maker(net.nodes, place, 1)
        while target is not None and is_inserted(net.nodes[target].layer):
            target = _maker(net.nodes, target)
        scale = net.nodes[target].layer.code_scale if target is not None else None
        learner = _maker(net.nodes, place)
        while learner is not None and not net.nodes[learner].layer.blobs:
            learner = _maker(net.nodes, learner)
        if scale and learner is not None:
            found |= _scales(net.nodes[learner], *scale)
    return found


def _maker(nodes: list[Node], place: int, bottom: int = 0) -> int | None:
    """The place of the last node before that made this bottom of the one at `place`, if any did.

    Of nodes in place there are several with a top of that name.
    """
    names = nodes[place].bottom_names[bottom : bottom + 1]
    before = (i for i in range(place - 1, -1, -1) if names and names[0] in nodes[i].top_names)
    return next(before, None)


def _scales(node: Node, mean: Array, std: Array) -> dict[Blob, Scale]:
    """Of the weights and biases of a layer whose outputs are codes of all classes.

    Where there are several outputs for each number, as maps of R-FCN, these are together.
    """
    weight, *bias = node.layer.blobs
    outputs = weight.shape[0]
    if outputs % len(mean):
        raise node.layer.error(
            f"has {outputs} outputs for codes of boxes of {len(mean)} numbers, which were "
            "normalized: files cannot hold plain codes of them; leave out bbox_mean and bbox_std"
        )
    mean, std = (np.repeat(numbers, outputs // len(mean)) for numbers in (mean, std))
    shape = (outputs, *[1] * (len(weight.shape) - 1))
    scales = {weight: Scale(std.reshape(shape), np.zeros(shape))}
    return scales | {blob: Scale(std, mean) for blob in bias}
