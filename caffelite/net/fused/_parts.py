"""What the fusions share: taking nodes one after the other, and steps that end in an epilogue."""

import numpy as np

from ...blob import Kept, Part
from ..step import FusedStep, Step


class Parts:
    """Takes the nodes that a step can run, from the second on, and names what each is for.

    normalizer : normalizes channels by fixed statistics, or None
    affine : has the scale and the bias of channels, learned, or None
    sum : adds another blob, or None
    activation : the activation, or None
    split : gives what there is by then to several readers, or None
    """

    def __init__(self, nodes):
        self.head, *self._left = nodes
        self.taken = [self.head]
        self.normalizer = self.affine = self.sum = self.activation = self.split = None

    @property
    def are_many(self):
        """Whether anything was taken: a step of one node is none."""
        return len(self.taken) > 1

    def take_fixed_normalizer(self):
        """Take a node that normalizes by fixed statistics."""
        self.normalizer = self._take(lambda layer: layer.normalizes_channels and layer.is_fixed)

    def take_affine(self):
        """Take a node that is y = scale * x + bias, learned for each channel; in training, with
        a scale."""
        trains = self.head.needs_backward
        self.affine = self._take(
            lambda layer: layer.is_by_channel and not (trains and layer.scale is None)
        )

    def take_sum(self):
        """Take a node that adds another blob; so far, the parts have no activation."""
        self.sum = self._take(lambda layer: layer.takes_epilogue == "activation")

    def take_activation(self, by_channel):
        """Take an activation that an epilogue knows.

        Where backward follows, its gradient must show from what it gives, all that is left then.
        Unless `by_channel`, it must be the same for all channels.
        """
        trains = self.head.needs_backward

        def fits(layer):
            options = layer.activation()
            if options is None or (trains and not layer.gradient_from_top):
                return False
            return by_channel or np.ndim(options.get("leak", 0)) == 0

        self.activation = self._take(fits)

    def take_split(self):
        """Take a node that gives a blob to several readers."""
        self.split = self._take(lambda layer: layer.splits)

    def _take(self, fits):
        if not self._left or not fits(self._left[0].layer):
            return None
        self.taken.append(self._left.pop(0))
        return self.taken[-1]

    @property
    def owner(self):
        """Where the first node normalizes: the layer that has the scale and the bias."""
        return (self.affine or self.head).layer

    def activation_options(self):
        """The activation as arguments of `Epilogue.of`."""
        return self.activation.layer.activation() if self.activation else {}


class EpilogueStep(FusedStep):
    """A node whose layer takes an epilogue, which does what the other nodes would."""

    def __init__(self, parts, first):
        super().__init__(parts.taken, first)
        self.parts = parts
        self._kept = Kept()

    @property
    def replays(self):
        return self.nodes[0].layer.is_replayed()

    def epilogue(self):
        """What the layer of the first node is to do with its sums."""
        return self.nodes[0].layer.epilogue(**self.parts.activation_options())

    def kept_epilogue(self):
        """The epilogue; made anew only after its numbers may have changed."""
        if self.nodes[0].needs_backward:
            return self.epilogue()
        blobs = (blob for node in self.nodes for blob in node.layer.blobs)
        return self._kept.get(blobs, self.epilogue)

    def forward(self):
        node = self.nodes[0]
        node.layer.forward_with(node.bottom_blobs, node.top_blobs, self.kept_epilogue())

    def can_fill(self, array):
        return Step.can_fill(self, array)

    def fill(self, array):
        node = self.nodes[0]
        node.layer.forward_with(node.bottom_blobs, [Part(array)], self.kept_epilogue())

    def backward(self):
        node = self.nodes[0]
        if node.layer.backward_takes_activation(node.propagate_down):
            epilogue = self.epilogue()
            node.layer.backward_with(
                node.top_blobs, node.propagate_down, node.bottom_blobs, epilogue
            )
        else:
            self.parts.activation.backward()
            node.backward()
