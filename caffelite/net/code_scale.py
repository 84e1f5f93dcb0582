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
    makers = {name: node for node in net.nodes for name in node.top_names}
    found: dict[Blob, Scale] = {}
    for node in net.nodes:
        if node.layer.compares != "values" or len(node.bottom_names) < 2:
            continue
        prediction, target = (makers.get(name) for name in node.bottom_names[:2])
        while target is not None and is_inserted(target.layer):
            target = makers.get(target.bottom_names[0])
        scale = target.layer.code_scale if target is not None else None
        learner = _learner(prediction, makers)
        if scale and learner is not None:
            found |= _scales(learner, *scale)
    return found


def _learner(node: Node | None, makers: dict[str, Node]) -> Node | None:
    """The last layer before that has weights."""
    while node is not None and not node.layer.blobs:
        node = makers.get(node.bottom_names[0]) if node.bottom_names else None
    return node


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
