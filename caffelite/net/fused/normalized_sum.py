"""Normalization of channels with the sum after it, as at the end of each unit of a ResNet.

In training. What is normalized is added to another blob, and activated, before it is stored; the
blob that it would else be stored in has it once somebody looks. Backward has the gradients of those
that read the sum added up, where there are two of them, as it reads them.
"""

from ..step import FusedStep, Step
from . import add, normalize
from ._parts import Parts


def match(nodes, first):
    """The step of a normalization in place, a sum of its top and another blob, and what follows.

    The sum's activation and its Split are part of it, where there are such.
    """
    parts, head = Parts(nodes), nodes[0]
    layer = head.layer
    fits = layer.normalizes_channels and layer.takes_addend and not layer.is_fixed
    if not fits or head.bottom_names != head.top_names or head.propagate_down != [True]:
        return None
    if layer.scale is None:
        parts.take_affine()
    parts.take_sum()
    if parts.sum is None:
        return None
    parts.take_activation(by_channel=False)
    parts.take_split()
    return NormalizedSumStep(parts, first)


class NormalizedSumStep(FusedStep):
    """y = activation(scale * (x - mean) / sqrt(variance + eps) + bias + the other blob)."""

    def __init__(self, parts, first):
        super().__init__(parts.taken, first)
        self.parts = parts
        self.hidden = frozenset(parts.head.top_names)
        self.apart = list(_apart(parts, first))
        (self.other,) = (
            i for i, name in enumerate(parts.sum.bottom_names) if name not in self.hidden
        )

    def may_hide(self):
        (bottom,), (hidden,) = self.nodes[0].bottom_blobs, self.nodes[0].top_blobs
        # what is normalized is where nobody changes it, if it is kept in a blob of its own
        adds = self.nodes[0].layer.adds(bottom.shape, hidden.shape)
        return bottom is not hidden and adds and hidden.let_go()

    def forward(self):
        head, total, owner = self.nodes[0], self.parts.sum, self.parts.owner
        addend, activation = total.bottom_blobs[self.other], self.parts.activation_options()
        head.layer.forward_with(
            head.bottom_blobs, total.top_blobs, owner, addend.data, **activation
        )
        head.layer.leave(*head.top_blobs, owner)

    def backward(self):
        head, total, split = self.nodes[0], self.parts.sum, self.parts.split
        (bottom,), (top,) = head.bottom_blobs, total.top_blobs
        gradients = split.layer.gradients(split.top_blobs) if split else [top.diff]
        if not 1 <= len(gradients) <= 2:
            split.backward()
            gradients = [top.diff]
        addend_diff = total.bottom_blobs[self.other].diff
        owner, activation = self.parts.owner, self.parts.activation_options()
        found = head.layer.gradients_with(
            top, gradients, addend_diff, bottom.diff, owner, **activation
        )
        owner.add_gradients(*found)
        if self.shows_diff:
            top.diff[...] = addend_diff

    def release(self):
        for step in self.apart:
            step.release()


def _apart(parts, first):
    """The steps that run it one after the other."""
    place, end = parts.taken.index(parts.sum), len(parts.taken) - (parts.split is not None)
    before, after = parts.taken[:place], parts.taken[place:end]
    yield normalize.match(before, first) or Step(before, first)
    yield add.match(after, first + place) or Step(after, first + place)
    if parts.split:
        yield Step([parts.split], first + end)
