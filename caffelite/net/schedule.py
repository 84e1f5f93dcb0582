"""The schedule of a net: which steps run, for any part of it, forward and backward."""

from ..environment import choice
from . import kept_for_backward
from .fused import find_fused
from .join import find_joins
from .step import Step


class Schedule:
    """The steps of a net, in the order of its nodes.

    A fused step runs where all of its nodes are to run, and are not left out; else these run one by
    one, as with `one_by_one`. CAFFELITE_PLAN=off in the environment runs all nodes so, always. With
    `hides`, steps may leave blobs that only they read without values, but for the names `shown`.
    """

    def __init__(self, nodes, hides=False, shown=()):
        planned = choice("CAFFELITE_PLAN", ("on", "off"), "on") == "on"
        self._single = [Step([node], index) for index, node in enumerate(nodes)]
        fused = find_fused(nodes, hides) if planned else []
        self._fused = {i: step for step in fused for i in range(step.first, step.last + 1)}
        self._joins, self._shown = {}, frozenset(shown)
        if hides and planned:
            self._joins = {step.first: step for step in find_joins(self.steps)}
        self.kept = kept_for_backward.keep(nodes, self._fused, planned)
        self._diffs = None  # names of the blobs whose diffs users see: None for all

    @property
    def steps(self):
        """The steps of a pass through the whole net."""
        return list(self._over(0, len(self._single) - 1))

    def _over(self, start, end, fuses=lambda step: True):
        index = start
        while index <= end:
            step = self._single[index]
            for whole in (self._joins.get(index), self._fused.get(index)):
                if whole and whole.first == index and whole.last <= end and fuses(whole):
                    step = whole
                    break
            yield step
            index = step.last + 1

    def forward(self, start, end, one_by_one, shown=False, asked=()):
        """Yield each step to run, from place `start` on to `end`.

        No step hides a blob where all are `shown`, nor one of the names `asked`.
        """
        asked = self._shown.union(asked)
        for blob in self.kept:
            if blob.writers[0] < start <= blob.reader:
                blob.take()

        def fuses(step):
            hides = step.hidden and (shown or not asked.isdisjoint(step.hidden))
            return not (one_by_one or step.left_out or hides)

        for step in self._over(start, end, fuses):
            fused = self._fused.get(step.first)
            if step is fused:
                fused.has_run = True
            else:
                _release(fused)
            yield step

    def show_diffs(self, names):
        """From now on let users see the diffs of the blobs of these names only."""
        self._diffs = set(names)

    def backward(self, start, end, one_by_one, shown=False):
        """Yield each step to run, from place `start` back to `end`; it runs as forward did.

        Steps leave diffs to be seen where all are `shown`.
        """
        index = start
        while index >= end:
            step = fused = self._fused.get(index)
            ran = fused and fused.has_run
            if one_by_one or not ran or fused.first < end or fused.last != index:
                _release(fused)
                step = self._single[index]
            elif self._diffs is not None:
                fused.shows_diff = shown or not self._diffs.isdisjoint(fused.nodes[0].top_names)
            yield step
            index = step.first - 1

    def show(self, start, end):
        """Let users see what nodes `start` to `end` gave, where its reader is still to come."""
        for blob in self.kept:
            if blob.reader > end and any(start <= writer <= end for writer in blob.writers):
                blob.show()

    def take(self, index):
        """Let the node at this place read what users may have changed since the one before it."""
        for blob in self.kept:
            if index in (*blob.writers[1:], blob.reader):
                blob.take()

    def rejoin(self):
        """Let all nodes use the blobs that users see."""
        for blob in self.kept:
            blob.rejoin()


def _release(fused):
    """Let the nodes of a step that ran as one go on one by one."""
    if fused and fused.has_run:
        if not fused.left_out:
            fused.release()
        fused.has_run = False
