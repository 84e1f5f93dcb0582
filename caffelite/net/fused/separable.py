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
        self.run(laned=0)

    def may_be(self, laned):
        """Whether both should run as one where so much is `laned`."""
        return self._plans(laned) is not None

    def _plans(self, laned):
        first, then = self._heads()
        shapes = first.bottom_blobs[0].shape, then.top_blobs[0].shape
        return first.layer.plan_with(then.layer, *shapes, laned)

    def _heads(self):
        return [step.nodes[0] for step in self.apart]

    def run(self, laned):
        """Forward; what is `laned`, bottom and top, has and gets its values so."""
        first, then = self._heads()
        (bottom,), (top,) = first.bottom_blobs, then.top_blobs
        plans = self._plans(laned)
        assert plans or not laned, "the steps apart read and write planes"
        if plans is None:
            for step in self.apart:
                step.forward()
        else:
            epilogues = [step.kept_epilogue() for step in self.apart]
            first.layer.forward_through(then.layer, bottom, top, plans, epilogues)
