"""Normalization of channels with the scale and the activation after it, in training and testing."""

import numpy as np

from ...layers._by_channel import by_channel
from ..step import FusedStep
from ._parts import Parts


def match(nodes, first):
    """The step of a normalization, of a Scale if it has none itself, and of an activation."""
    head, parts = nodes[0], Parts(nodes)
    if not head.layer.normalizes_channels:
        return None
    if head.layer.scale is None:
        parts.take_affine()
    parts.take_activation(by_channel=True)
    return NormalizeStep(parts, first) if parts.are_many else None


class NormalizeStep(FusedStep):
    """y = activation(scale * (x - mean) / sqrt(variance + eps) + bias), by channel."""

    def __init__(self, parts, first):
        super().__init__(parts.taken, first)
        self.parts = parts

    def forward(self):
        node, activation = self.nodes[0], self.parts.activation_options()
        owner = self.parts.owner
        node.layer.forward_with(node.bottom_blobs, node.top_blobs, owner, **activation)

    def backward(self):
        node, owner, activation = self.nodes[0], self.parts.owner, self.parts.activation
        if owner.scale is None and node.layer.is_fixed:
            activation.backward()
            node.backward()
            return
        (top,), (bottom,), (wanted,) = node.top_blobs, node.bottom_blobs, node.propagate_down
        if activation and not wanted:
            activation.backward()
        options = self.parts.activation_options() if wanted else {}
        dx = bottom.diff if wanted else None
        shows = self.shows_diff and not (wanted and np.may_share_memory(dx, top.diff))
        owner.add_gradients(*node.layer.gradients(top, dx, owner, shows, **options))
        if shows and owner is not node.layer:
            by_channel(top.diff)[...] *= owner.scale.data.reshape(-1, 1)

    def release(self):
        if self.parts.affine and self.nodes[0].needs_backward:
            self.parts.affine.layer.x = self.nodes[0].layer.normalized()
