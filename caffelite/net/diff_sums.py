"""Diffs that the readers of a blob add up, where each else has one of its own for a Split to sum.

That is for nets of whose inner diffs nobody sees more than the last value. All tops of a Split use
the diff of its bottom: the reader whose backward comes first assigns it, those after it add to it,
and the Split has nothing to do.
"""

from collections import defaultdict

from .node import Node
from .step import Step


class DiffSums:
    """The sums of a net, in whose order steps run backward; there are none before `find`."""

    def __init__(self):
        self._turns = defaultdict(list)  # by place of a node

    def find(self, nodes, steps, kept):
        """Find those of Splits that are among the `steps`, unless tops have names `kept`: once.

        A step of more nodes reads the diffs of its Split's tops as they are, and sums on the way.
        """
        if self._turns:
            return
        readers = _readers(nodes)
        for step in steps:
            node = step.nodes[0]
            found = [reader for name in node.top_names for reader in readers[name]]
            if _splits(node, kept) and _add_up(node, [nodes[at] for at, _ in found], found):
                self._share(step.first, node, nodes, found)

    def _share(self, place, split, nodes, readers):
        given = set()
        for top in split.top_blobs:
            top.share_diff(split.bottom_blobs[0])
        self._turns[place].append(_Split(split, given))
        for at, index in readers:
            begins = at == max(readers)[0]
            self._turns[at].append(_Reader(nodes[at], index, begins, given))

    def backward(self, step: Step) -> None:
        """Backward of a step, which assigns diffs or adds to them, as its nodes' turns are."""
        places = range(step.first, step.last + 1)
        turns = [turn for place in places if place in self._turns for turn in self._turns[place]]
        for turn in turns:
            turn.begin()
        step.backward()
        for turn in turns:
            turn.end()


class _Split:
    """The turn of a Split: the sum is complete. `given` are the nodes that have added to it."""

    def __init__(self, node: Node, given: set[Node]) -> None:
        self._node, self._given = node, given

    def begin(self):
        if not self._given:
            self._node.bottom_blobs[0].diff[...] = 0

    def end(self):
        self._given.clear()


class _Reader:
    """The turn of a node to give the gradient of its bottom `index`.

    It assigns the diff where backward comes to it first, `begins`, and where it has given its own
    before: then this is another pass. One that should add, but cannot, assigns, and what was there
    is added.
    """

    def __init__(self, node: Node, index: int, begins: bool, given: set[Node]) -> None:
        self._node, self._index, self._begins, self._given = node, index, begins, given
        self._before = None

    def begin(self):
        node, given = self._node, self._given
        if self._begins or node in given:
            given.clear()
        adds = bool(given) and _can_add(node) and not node.left_out
        node.layer.adds_up = adds
        self._before = None if adds or not given else node.bottom_blobs[self._index].diff.copy()

    def end(self):
        self._node.layer.adds_up = False
        if self._before is not None:
            self._node.bottom_blobs[self._index].diff[...] += self._before
            self._before = None
        self._given.add(self._node)


def _readers(nodes):
    """{name of a blob: [(place of a node that gives its gradient, bottom)]}"""
    found = defaultdict(list)
    for place, node in enumerate(nodes):
        for index, name in enumerate(node.bottom_names):
            if node.needs_backward and node.propagate_down[index]:
                found[name].append((place, index))
    return found


def _splits(node, kept):
    """Whether a node is a Split whose tops' diffs nobody looks at, or starts from."""
    inner = not any(node.loss_weights) and kept.isdisjoint(node.top_names)
    return node.layer.splits and node.needs_backward and node.propagate_down == [True] and inner


def _add_up(split, nodes, readers):
    """Whether nodes assign one by one what they give, and all but the last can add to it."""
    last = max(readers, default=None)
    for node, (place, index) in zip(nodes, readers, strict=True):
        layer = node.layer
        passes_on = layer.splits or any(
            top.shares_diff_with(one) for top in node.top_blobs for one in split.top_blobs
        )
        if passes_on or not layer.assigns_diff or index in layer.no_gradient:
            return False
        if (place, index) != last and not _can_add(node):
            return False
    return len({id(node) for node in nodes}) == len(nodes) > 1


def _can_add(node):
    """Whether backward of a node can add to the diff of its only bottom."""
    if len(node.bottom_blobs) > 1 or len(node.top_blobs) > 1:
        return False
    (bottom,), (top,) = node.shapes
    return node.layer.can_add(bottom, top)
