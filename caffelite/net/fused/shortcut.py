"""A convolution whose result is added to another blob, as at the end of each unit of a ResNet.

Where no backward follows and nobody looks at inner blobs, sums of products are normalized, added
and activated before they are stored, and the convolution's own top is never written.
"""

from ...kernels.epilogue import LEAKY
from ..step import Step
from . import add, convolution
from ._parts import Parts


def match(nodes, first):
    """The step of a convolution, a sum of its top and another blob, and an activation, or None."""
    parts = Parts(nodes)
    head = nodes[0]
    if head.layer.takes_epilogue != "map" or not head.layer.takes_addend or head.needs_backward:
        return None
    convolution.take_map(parts)
    parts.take_sum()
    if parts.sum is None:
        return None
    parts.take_activation(by_channel=False)
    if parts.activation_options().get("activation") == LEAKY:
        return None
    return ShortcutStep(parts, first)


class ShortcutStep(convolution.ConvolutionStep):
    """y = activation((sum of products + bias - center) * slope + offset + the other blob)."""

    def __init__(self, parts, first):
        super().__init__(parts, first)
        self.hidden = frozenset(parts.head.top_names)
        place = self.nodes.index(parts.sum)
        before, after = self.nodes[:place], self.nodes[place:]
        self.apart = [
            convolution.match(before, first) or Step(before, first),
            add.match(after, first + place) or Step(after, first + place),
        ]
        (self.other,) = (
            i for i, name in enumerate(parts.sum.bottom_names) if name not in self.hidden
        )

    @property
    def may_lie_in(self):
        (top,), other = self.parts.sum.top_blobs, self.parts.sum.bottom_blobs[self.other]
        # what the convolution reads, too, is needed for sums at other places
        return [] if self.nodes[0].bottom_blobs[0].shares_data_with(other) else [(top, other)]

    @property
    def replays(self):
        return all(step.replays for step in self.apart)

    def can_fill(self, array):
        return False

    def forward(self):
        head, total = self.nodes[0], self.parts.sum
        (bottom,), (top,) = head.bottom_blobs, total.top_blobs
        if head.layer.adds(bottom.shape, top.shape):
            other = total.bottom_blobs[self.other].data
            head.layer.forward_with([bottom], [top], self.kept_epilogue(), other)
        else:
            for step in self.apart:
                step.forward()
