"""Separable convolutions one after the other, whose blobs between lie as vectors want them.

That is for nets whose inner blobs nobody looks at: the top of each such step but the last gets its
values laned, as `kernels.separable` writes and reads them, instead of those that users would see.
"""

from collections import Counter

from ..kernels.separable import LANED_X, LANED_Y
from .fused.convolution import ConvolutionStep
from .fused.separable import SeparableStep
from .step import StepsInOne


def find_laned(steps):
    """The LanedSteps of a net that else runs by these steps, in order."""
    readers = Counter(name for step in steps for node in step.nodes for name in node.bottom_names)
    runs = [[]]
    for step in steps:
        if not (runs[-1] and _goes_on(runs[-1][-1], step, readers)):
            runs.append([])
        if _is_able(step):
            runs[-1].append(step)
    return [LanedStep(run) for run in runs if len(run) > 1]


def _is_able(step):
    """Whether a step may have a laned top, or bottom: the first of a run need but have the one."""
    able = isinstance(step, SeparableStep) or type(step) is ConvolutionStep
    return able and step.replays and len(step.nodes[-1].top_names) == 1


def _goes_on(before, step, readers):
    """Whether a step alone reads what one before it gives, and may read it laned."""
    if not (_is_able(step) and isinstance(step, SeparableStep)):
        return False
    (name,) = before.nodes[-1].top_names
    own = sum(node.bottom_names.count(name) for node in before.nodes)
    weights = any(any(node.loss_weights) for node in (*before.nodes, *step.nodes))
    return step.nodes[0].bottom_names == [name] and readers[name] == own + 1 and not weights


class LanedStep(StepsInOne):
    """Separable steps that run one after the other; what is between them is `hidden`."""

    def __init__(self, steps):
        between = (name for step in steps[:-1] for node in step.nodes for name in node.top_names)
        super().__init__(steps, between)

    def forward(self):
        laned = 0
        for step, is_taken in zip(self.steps, self._taken(), strict=True):
            if is_taken and step.may_be(laned | LANED_Y):
                laned |= LANED_Y
            step.run(laned)
            laned = LANED_X if laned & LANED_Y else 0

    def _taken(self):
        """Whether the step after each takes a laned bottom, if the ones after it do what they can.

        The last of those that do has to turn what it gives, and may be one for which that is slow.
        """
        found = [False]
        for step in reversed(self.steps[1:]):
            found.append(step.may_be(LANED_X | (LANED_Y if found[-1] else 0)))
        return reversed(found)
