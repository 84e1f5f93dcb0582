"""Blobs side by side in another one without a copy: each is written where it is to lie.

That is for nets whose inner blobs nobody looks at: what a Concat reads is computed into a part of
its top, and the blob that it would else lie in gets no values.
"""

from collections import Counter

from .step import StepsInOne


def find_joins(steps):
    """The JoinSteps of a net that else runs by these steps, in order."""
    found, begin = [], 0
    for end, step in enumerate(steps):
        if step.nodes[0].layer.joins and step.replays and len(step.nodes[0].bottom_names) > 1:
            begin = _first_writer(steps, begin, end)
            if begin < end:
                found.append(JoinStep(steps[begin : end + 1]))
            begin = end + 1
    return found


def _first_writer(steps, begin, end):
    """From which step on, `begin` at the earliest, to run all as one up to the join at `end`.

    Nodes that run as one are reshaped before any of them runs. So each must be one whose tops'
    shapes follow from those of its bottoms alone, as those of layers that are replayed do.
    """
    names, first = set(steps[end].nodes[0].bottom_names), end
    for place in reversed(range(begin, end)):
        step = steps[place]
        if not step.replays or any(any(node.loss_weights) for node in step.nodes):
            break
        if _given(step) <= names:
            first = place
    return first


def _given(step):
    """The names of the blobs that a step gives."""
    return {name for node in step.nodes for name in node.top_names}


class JoinStep(StepsInOne):
    """Steps that run one after the other; the last is a layer that lays blobs side by side.

    Those of these that fill a part of the whole have no values in their own blobs, which are
    `hidden`, as what the steps hide is.
    """

    def __init__(self, steps):
        (self.join,) = steps[-1].nodes
        self._places = self._find_places(steps)
        super().__init__(steps, {self.join.bottom_names[at] for at in self._places.values()})

    def _find_places(self, steps):
        """{step that may fill a part: the place of its only blob among those that are joined}"""
        writers = Counter(name for step in steps for name in _given(step))
        read, found = self.join.bottom_names, {}
        for step in steps[:-1]:
            name, *others = _given(step)
            alone = not others and writers[name] == read.count(name) == 1
            if alone and name not in step.nodes[0].bottom_names:
                found[step] = read.index(name)
        return found

    @property
    def early_tops(self):
        return self.join.top_blobs

    def forward(self):
        bottoms, tops = self.join.bottom_blobs, self.join.top_blobs
        parts, filled = self.join.layer.parts(bottoms, tops), set()
        for step in self.steps[:-1]:
            place = self._places.get(step)
            if place is not None and step.can_fill(parts[place]):
                step.fill(parts[place])
                filled.add(place)
            else:
                step.forward()
        self.join.layer.join(bottoms, tops, filled)
