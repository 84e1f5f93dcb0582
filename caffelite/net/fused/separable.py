"""A convolution of each channel by itself with one of 1 by 1 kernels after it, as in MobileNet.

Where no backward follows and nobody looks at inner blobs, what the first gives is computed block by
block, and each is read at once: the first's own top is never written.
"""

from ..step import FusedStep
from . import convolution


def match(nodes, first):
    """The step of a convolution, one that reads its top, and what fits into their epilogues."""
    head, names = nodes[0], nodes[0].top_names
    place = next((i for i, node in enumerate(nodes) if node.top_names != names), None)
    if place is None or not head.layer.may_run_into(nodes[place].layer):
        return None
    before = convolution.step(nodes[:place], first)
    after = convolution.step(nodes[place:], first + place)
    return SeparableStep(before, after) if before.last + 1 == after.first else None


class SeparableStep(FusedStep):
    """The steps of two convolutions, run as one where their layers find that it pays."""

    def __init__(self, *apart):
        super().__init__([node for step in apart for node in step.nodes], apart[0].first)
        self.apart = apart
        self.hidden = frozenset(apart[0].nodes[0].top_names)

    @property
    def replays(self):
        return all(step.replays for step in self.apart)

    def forward(self):
        heads = [step.nodes[0] for step in self.apart]
        (bottom,), (top,) = heads[0].bottom_blobs, heads[1].top_blobs
        first, then = (head.layer for head in heads)
        plans = first.plan_with(then, bottom.shape, top.shape)
        if plans is None:
            for step in self.apart:
                step.forward()
        else:
            epilogues = [step.kept_epilogue() for step in self.apart]
            first.forward_through(then, bottom, top, plans, epilogues)
