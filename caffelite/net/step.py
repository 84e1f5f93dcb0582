"""Steps: what a net runs, one after the other. Most are one node; a fused step is several."""

from collections.abc import Sequence

from ..blob import Blob, Part


class Step:
    """A node that runs by itself.

    `nodes` are those that the step runs, `first` and `last` the places of the first and the last
    of them among all of the net's. Blobs of the names `hidden`, which nobody else reads, get no
    values where the step runs. `early_tops` are tops that are written before all is read. `apart`
    are steps that do the same one after the other, and hide nothing; without any, its nodes do.
    `may_lie_in` are pairs of a top and of a bottom whose memory it may have: where a value is
    written, the bottom's at the same place is read before, and no other after.
    """

    hidden: frozenset[str] = frozenset()
    early_tops: Sequence[Blob] = ()
    may_lie_in: Sequence[tuple[Blob, Blob]] = ()
    apart: Sequence["Step"] = ()

    def __init__(self, nodes, first):
        self.nodes = nodes
        self.first, self.last = first, first + len(nodes) - 1

    @property
    def steps(self):
        """Those that it runs, one after the other; made anew, for one would hold itself."""
        return [self]

    def may_hide(self):
        """Whether the next forward may leave the `hidden` blobs without values."""
        return True

    @property
    def left_out(self):
        """Whether the last pass did without these nodes: without all of them, or none."""
        return self.nodes[0].left_out

    @property
    def replays(self):
        """Whether `forward` is but calls of kernels, see `Layer.replays`."""
        return self.nodes[0].layer.is_replayed()

    def forward(self):
        """Fill the tops of the nodes."""
        self.nodes[0].forward()

    def can_fill(self, array):
        """Whether `fill` can run for this array."""
        node = self.nodes[0]
        return node.layer.can_fill([blob.shape for blob in node.bottom_blobs], array)

    def fill(self, array):
        """`forward`, but that this array, a part of a larger one, gets what is else the top's."""
        node = self.nodes[0]
        node.layer.forward(node.bottom_blobs, [Part(array)])

    def backward(self):
        """Give the gradients that the nodes are to give."""
        self.nodes[0].backward()

    def release(self):
        """After this step's forward, leave its nodes what each needs for a backward of its own."""


class FusedStep(Step):
    """Base of steps that do the work of several nodes at once.

    The nodes after the first work in place on its only top. Forward leaves in that blob what the
    last of them makes, and backward leaves in its diff what the second of them makes: just as if
    they had run one by one. A subclass says how in `forward` and `backward`, and in `release` what
    its nodes need that its forward did not keep. Where no backward follows, the last nodes may have
    a top of their own; then the first one's is `hidden`.
    """

    replays = False
    shows_diff = True
    """Whether backward leaves the diff of their blob to be looked at, which may be extra work."""

    def __init__(self, nodes, first):
        super().__init__(nodes, first)
        self.has_run = False  # rather than its nodes, at the last forward

    def can_fill(self, array):
        return False


class StepsInOne(Step):
    """Base of steps that run other steps one after the other; `hidden` is what those hide, too."""

    replays = True

    def __init__(self, steps, hidden):
        super().__init__([node for step in steps for node in step.nodes], steps[0].first)
        self._steps = steps
        self.hidden = frozenset(hidden).union(*(step.hidden for step in steps))

    @property
    def steps(self):
        return self._steps

    @property
    def left_out(self):
        return any(step.left_out for step in self.steps)

    def can_fill(self, array):
        return False
