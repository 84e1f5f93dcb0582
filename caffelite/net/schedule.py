"""The schedule of a net: which steps run, for any part of it, forward and backward."""

from ..environment import choice
from . import kept_for_backward
from .fused import find_fused
from .join import find_joins
from .laned import find_laned
from .step import FusedStep, Step


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
        self._fused = _by_place(fused)
        apart = (step for whole in fused for step in whole.apart)
        self._apart = _by_place(step for step in apart if isinstance(step, FusedStep))
        self._wholes, self._shown = {}, frozenset(shown)
        if hides and planned:
            for find in find_laned, find_joins:
                self._wholes.update((step.first, step) for step in find(self.steps))
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
            for steps in (self._wholes, self._fused, self._apart):
                whole = steps.get(index)
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
            if one_by_one or step.left_out:
                return False
            sees = shown or not asked.isdisjoint(step.hidden)
            return not step.hidden or (not sees and step.may_hide())

        for step in self._over(start, end, fuses):
            for index in range(step.first, step.last + 1):
                for fused in self._fused_at(index):
                    if step is fused:
                        fused.has_run = True
                    else:
                        _release(fused)
            yield step

    def _fused_at(self, index):
        """The fused steps that can run the node at this place, the longest first."""
        return [steps[index] for steps in (self._fused, self._apart) if index in steps]

    def show_diffs(self, names):
        """From now on let users see the diffs of the blobs of these names only."""
        self._diffs = set(names)

    def backward(self, start, end, one_by_one, shown=False):
        """Yield each step to run, from place `start` back to `end`; it runs as forward did.

        Steps leave diffs to be seen where all are `shown`.
        """
        index = start
        while index >= end:
            step = self._single[index]
            for fused in self._fused_at(index):
                if one_by_one or not fused.has_run or fused.first < end or fused.last != index:
                    _release(fused)
                    continue
                step = fused
                if self._diffs is not None:
                    made = {name for node in fused.nodes for name in node.top_names}
                    fused.shows_diff = shown or not self._diffs.isdisjoint(made)
                break
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


def _by_place(steps):
    """{place of a node: the step that runs it}"""
    return {place: step for step in steps for place in range(step.first, step.last + 1)}


def _release(fused):
    """Let the nodes of a step that ran as one go on one by one."""
    if fused.has_run:
        if not fused.left_out:
            fused.release()
        fused.has_run = False
