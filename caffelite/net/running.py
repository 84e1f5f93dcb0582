"""Running a net: its steps, forward and backward, with all that happens between them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from ..blob import Blob
from ..errors import CaffeliteError
from . import debug
from .callbacks import Callbacks
from .passes import is_inserted
from .plan import plan_gradients
from .replay import Replay
from .step import Step

if TYPE_CHECKING:
    from .diff_sums import DiffSums
    from .learnable import Learnable
    from .left_out import LeftOut
    from .node import Node
    from .schedule import Schedule


class Running(Callbacks):
    """A base of Net, which has `nodes`, `learnable`, `debug_info` and a Schedule."""

    nodes: list[Node]
    debug_info: bool
    _schedule: Schedule
    _diff_sums: DiffSums
    _left_out: LeftOut
    _replay: Replay

    if TYPE_CHECKING:

        @property
        def learnable(self) -> list[Learnable]: ...

        def owner_of(self, blob: Blob) -> Blob: ...

    gradients_are_final: bool = True

    def _forward(self, start: int, end: int, asked: Iterable[str] = ()) -> float:
        """Run layers of indices `start` to `end`, both included; returns their summed loss.

        The blobs of the names `asked` are computed even if the pass could leave them out.
        """
        asked = tuple(asked)
        self._left_out.settle(start, end, asked)
        try:
            begin, loss = self._replay.begin(self._key_of_pass(start, end, asked), start)
            if begin <= end:
                loss += self._run_steps(begin, end, asked)
        except CaffeliteError as problem:
            if problem.item is None:
                raise
            raise self._with_sample(problem, problem.item) from None
        self._replay.end()
        self._schedule.show(start, end)
        return loss

    def _key_of_pass(self, start: int, end: int, asked: Iterable[str]) -> Hashable:
        """What tells passes that run the same steps; None where more may go on between these."""
        alone = not (self.debug_info or self._shows_blobs or self._schedule.kept)
        alone = alone and not self._left_out.has_choice
        return (self._schedule, start, end, asked) if alone else None

    def _run_steps(self, start: int, end: int, asked: Iterable[str]) -> float:
        loss, schedule, shows = 0.0, self._schedule, self._shows_blobs
        for step in schedule.forward(start, end, self.debug_info, shows, asked):
            self._call("before_forward", step.first)
            if shows:
                schedule.take(step.first)
            for node in step.nodes:
                node.prepare()
            self._replay.run(step)
            for node in step.nodes:
                node.mark_run()
                loss += node.loss()
                if self.debug_info:
                    debug.log_forward(node)
            if shows:
                schedule.show(step.first, step.last)
            self._call("after_forward", step.first)
            if step.last > step.first:
                self._call_rest("forward", range(step.first + 1, step.last + 1))
        return loss

    def _with_sample(self, problem: CaffeliteError, item: int) -> CaffeliteError:
        """An error about a sample in a batch, with its name, if a layer delivered it as it is."""
        makers = {name: node for node in self.nodes for name in node.top_names}
        maker = makers.get(problem.blob)
        while maker is not None and is_inserted(maker.layer):
            maker = makers.get(maker.bottom_names[0])
        name = maker.layer.sample_name(item) if maker is not None else ""
        return problem.with_more(f"it is that of {name}") if name else problem

    def _backward(self, start: int, end: int) -> None:
        """Run backward through layers of indices `start` down to `end`, both included."""
        shown = bool(self._callbacks["before_backward"] or self._callbacks["after_backward"])
        for step in self._schedule.backward(start, end, self.debug_info, shown):
            self._call("before_backward", step.last)
            if step.nodes[0].needs_backward:
                for node in step.nodes:
                    node.check_run()
                self._diff_sums.backward(step)
                if self.debug_info:
                    debug.log_backward(step.nodes[0])
            self._call("after_backward", step.last)
            if step.last > step.first:
                self._call_rest("backward", reversed(range(step.first, step.last)))
            if self._callbacks["on_gradients_ready"] and self.gradients_are_final:
                self._tell_ready(step)
        if self.debug_info and (start, end) == (len(self.nodes) - 1, 0):
            debug.log_totals(self.learnable)

    def _tell_ready(self, step: Step) -> None:
        """Tell of the learnable blobs whose diff is final now that this step has run backward."""
        places = reversed(range(step.first, step.last + 1))
        if blobs := [blob for place in places for blob in self._last_added.get(place, ())]:
            self._call("on_gradients_ready", blobs)

    @cached_property
    def _last_added(self) -> dict[int, list[Blob]]:
        return plan_gradients(self.nodes, self.owner_of)
