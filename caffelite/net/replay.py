"""Passes that run again by the calls of kernels that the last one came to.

What is between these, most of it Python that finds the same every time, takes longer than small
kernels do. So where only forward runs, a pass that comes for the second time is taken down. The
next ones make its calls again, as long as `Unchanged` tells that they are the same; layers that
are more than calls of kernels run as ever in between.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterable
from functools import cached_property
from itertools import groupby

from ..blob import Unchanged
from ..kernels._again import Again
from ..kernels._tape import Call, taken_down
from ..kernels.plan import Conditions
from .step import Step


class Replay:
    """The last pass through a net, if it can run again."""

    def __init__(self) -> None:
        self._key: Hashable = None
        self._parts: list[_Part] = []  # of a pass that was taken down as a whole
        self._taken: list[_Part] | None = None  # of one that is being taken down

    def begin(self, key: Hashable, start: int) -> tuple[int, float]:
        """Begin a pass at place `start`: (the place from which steps are still to run, the loss).

        Passes of one `key` run the same steps; one with the key None is like no other.
        """
        here = None if key is None else (key, threading.get_ident(), Conditions.now())
        comes_again = here is not None and here == self._key
        parts, self._parts, self._key = self._parts, [], here
        self._taken = [] if comes_again and not parts else None
        loss = 0.0
        if not comes_again:
            return start, loss
        for part in parts:
            if not part.is_same():
                return part.first, loss
            loss += part.run()
            start = part.last + 1
        self._parts = parts
        return start, loss

    def run(self, step: Step) -> None:
        """Run a step of the pass, and take it down if the pass may come again."""
        if self._taken is None:
            step.forward()
        elif any(node.needs_backward or node.layer.always_reshape for node in step.nodes):
            self._taken = None
            step.forward()
        elif step.replays and not any(any(node.loss_weights) for node in step.nodes):
            with taken_down() as calls:
                step.forward()
            self._taken.append(_Part([step], calls))
        else:
            step.forward()
            self._taken.append(_Part([step], None))

    def end(self) -> None:
        """End the pass."""
        taken, self._taken = self._taken, None
        if taken and all(part.is_same() for part in taken):
            self._parts = list(_joined(taken))


class _Part:
    """Steps that run one after the other: by calls of kernels, or, with None, one as a whole."""

    def __init__(self, steps: list[Step], calls: list[Call] | None) -> None:
        self.steps, self.calls = steps, calls
        self.first, self.last = steps[0].first, steps[-1].last
        nodes = [node for step in steps for node in step.nodes]
        learnable = [blob for node in nodes for blob in node.layer.blobs] if calls else []
        self._unchanged = Unchanged(
            [blob for node in nodes for blob in node.bottom_blobs],
            [blob for node in nodes for blob in node.top_blobs],
            learnable,
        )
        self.is_same = self._unchanged.is_true

    def run(self) -> float:
        """Run, and give what that adds to the loss."""
        if self.calls is None:
            (step,) = self.steps
            step.forward()
            return sum(node.loss() for node in step.nodes)
        self._unchanged.break_seals()
        self._again()
        return 0.0

    @cached_property
    def _again(self) -> Again:
        return Again(self.calls or ())


def _joined(parts: Iterable[_Part]) -> Iterable[_Part]:
    """The parts, those by calls that follow each other as one."""
    for whole, some in groupby(parts, lambda part: part.calls is None):
        if whole:
            yield from some
        else:
            each = list(some)
            calls = [call for part in each for call in part.calls or ()]
            yield _Part([step for part in each for step in part.steps], calls)
