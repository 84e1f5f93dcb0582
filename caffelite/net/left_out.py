"""What a pass leaves out: nodes that serve nothing but a bottom that a layer does without.

Some layers choose which of their bottoms they read, before these are computed (`Layer.choose`).
Nodes from which every way leads to one of the others do not run, neither forward nor backward:
their statistics stay, and what they give is 0, data and diffs, as if they were not there.
"""


class LeftOut:
    """Settles, before a pass through nodes of a net, which of them it leaves out.

    A bottom is (place of its node, index).
    """

    def __init__(self, nodes):
        self._nodes = nodes
        self._serves = _served_alone(nodes)
        self._first = {}  # {place of a layer that chooses: of the first node that it may leave out}
        for place, node in reversed(list(enumerate(nodes))):
            if node.layer.chooses:
                self._first[place] = place
            for reader, _ in self._serves[place]:
                self._first[reader] = place

    @property
    def has_choice(self):
        """Whether there are layers that choose."""
        return bool(self._first)

    def settle(self, start, end, asked=()):
        """Settle `left_out` of the nodes at the places from `start` to `end`, which are to run.

        A layer chooses anew if the first node that it may leave out is among them; else it stands
        by its choice, since others have run by that, or have not. Nodes that serve a blob of the
        names `asked` run in any case.
        """
        if not self._first:
            return
        for place, first in self._first.items():
            if start <= first <= end:
                layer = self._nodes[place].layer
                layer.chosen = layer.choose()
        unread = self._unread() - self._served_by(set(asked))
        for place in range(start, end + 1):
            self._nodes[place].left_out = not unread.isdisjoint(self._serves[place])

    def standing(self, start):
        """The bottoms that passes from `start` on do without, by choices of a pass before."""
        return {(place, i) for place, i in self._unread() if self._first[place] < start}

    def _unread(self):
        """The bottoms that layers do without."""
        chosen = {place: self._nodes[place].layer.chosen for place in self._first}
        return {(p, i) for p, each in chosen.items() for i, wanted in enumerate(each) if not wanted}

    def _served_by(self, names):
        """The bottoms that those with a top of these names serve alone."""
        nodes = zip(self._nodes, self._serves, strict=True)
        return {b for node, serves in nodes if names.intersection(node.top_names) for b in serves}


def _served_alone(nodes):
    """For each node, the bottoms of layers that choose to which all of its ways lead.

    A top that nobody reads, as that of an output or a loss, leads elsewhere. Nodes without bottoms
    serve none alone: their data go on.
    """
    serves = [set() for _ in nodes]
    for place, tops in reversed(list(enumerate(_readers(nodes)))):
        if nodes[place].bottom_names and tops and all(tops):
            ways = (
                serves[reader] | ({(reader, index)} if nodes[reader].layer.chooses else set())
                for top in tops
                for reader, index in top
            )
            serves[place] = set.intersection(*ways)
    return serves


def _readers(nodes):
    """For each node, the bottoms that read each of its tops."""
    found, last = [], {}  # by name of a blob: the readers of what was last written to it
    for place, node in enumerate(nodes):
        for index, name in enumerate(node.bottom_names):
            last[name].append((place, index))
        found.append([[] for _ in node.top_names])
        last.update(zip(node.top_names, found[-1], strict=True))
    return found
