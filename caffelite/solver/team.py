"""Who trains: one process by itself; `caffelite.parallel` has several, each with a part of a batch.

A solver asks its team for what one process does in another way than several.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ..types import Array

if TYPE_CHECKING:
    from ..net import Net
    from .base import Solver

Found = TypeVar("Found")


class Alone:
    """One process, which has the whole batch.

    rank, size
        which process this is, and of how many; the one of rank 0 writes all files
    """

    rank, size = 0, 1

    def run(
        self, passes: Callable[[], float], asked: Sequence[str] = ()
    ) -> tuple[float, Sequence[str]]:
        """Run passes of the train net, whose gradients are the batch's then.

        Returns the loss, and what any of the processes is asked for.
        """
        return passes(), asked

    def mean_outputs(self, outputs: dict[str, Array]) -> dict[str, Array]:
        """The outputs of the train net for the whole batch, from those of this process's part."""
        return outputs

    def union(self, asked: list[str]) -> list[str]:
        """What any of the processes is asked for."""
        return asked

    def turns(self, net: Net, count: int) -> Iterable[bool]:
        """For each round of a test of `count` batches, whether this process has one to run."""
        return (True for _ in range(count))

    def tested(self, net: Net, measures: Sequence[Any], count: int) -> Sequence[Any]:
        """After a test of `count` batches: measures that have seen all of them."""
        return measures

    def share_statistics(self, net: Net) -> None:
        """Let all processes have the same statistics, means of what each has seen."""

    def lead(self, solver: Solver, work: Callable[[], Found]) -> Found:
        """What `work` finds, which brings the solver to another state, from files."""
        return work()

    def check_weights(self, solver: Solver) -> None:
        """Raise a SolverError if processes have come to different weights."""

    def facts(self) -> dict[str, float]:
        """What an iteration's event tells of the exchange."""
        return {}
