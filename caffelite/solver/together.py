"""Several solvers that train in turns, as one run: each with a net, weights and rule of its own."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .. import reading
from ..atomic import write_all_atomically
from ..errors import CaffeliteError, SolverError
from ..glog import NOTICE
from ..types import Path
from . import prefix, restoring, snapshot
from .base import Solver, get_solver
from .epochs import MOST_ITERATIONS
from .hooks import Hooks

log = logging.getLogger("caffelite")


class Together(Hooks):
    """Trains several nets in turns: a generator and its critic, say.

    One iteration is one call of `turn(**solvers)`, by default an iteration of each, in their order.
    A turn calls `solver.iterate(gradients)` of the solvers as it likes, where `gradients()` adds to
    the diffs of that solver's net and returns its loss; so it passes the blobs of one net to
    another, and their diffs back. It returns whether training is to end.

    Each solver goes by its own file for its rule, schedule, log lines and tests; iterations of all,
    and their snapshots, are those given here.

    Parameters
    ----------
    solvers : {name: Solver or its prototxt}
    turn : function of the solvers, by their names
    max_iter : how many turns `solve` takes
    snapshot : turns between snapshots; 0 for none but the last
    snapshot_prefix : path up to "_iter_N.together"
    """

    def __init__(
        self,
        solvers: Mapping[str, Solver | Path],
        turn: Callable[..., bool | None] | None = None,
        *,
        max_iter: int = 0,
        snapshot: int = 0,
        snapshot_prefix: Path,
    ) -> None:
        super().__init__()
        self.solvers = {
            name: get_solver(one) if isinstance(one, (str, os.PathLike)) else one
            for name, one in solvers.items()
        }
        self.iter = 0
        self.max_iter, self.snapshot_interval = max_iter, snapshot
        self.snapshot_prefix = os.fspath(snapshot_prefix)
        self._turn = turn or _one_each
        prefix.check_prefix(self.snapshot_prefix)

    def solve(self) -> bool:
        """Train until max_iter, with a snapshot at the end; returns whether it ended before."""
        with self._holding_prefix():
            stopped = self.step(self.max_iter - self.iter)
            if not self.snapshot_interval or self.iter % self.snapshot_interval:
                self.snapshot()
            self._emit("stopped" if stopped else "done", iteration=self.iter)
            return stopped

    def step(self, n: int) -> bool:
        """Take `n` turns; returns whether training was to end before."""
        end = self.iter + n
        while self.iter < end:
            self._call("on_start")
            stopped = self._turn(**self.solvers)
            self.iter += 1
            self._emit("step", iteration=self.iter)
            due = self.snapshot_interval and self.iter % self.snapshot_interval == 0
            if self._take_requests("snapshot") or due:
                self.snapshot()
            if stopped or self._stop_requested():
                return True
        return False

    # Snapshots: those of all solvers, and a file that names them, or none

    @contextlib.contextmanager
    def _holding_prefix(self) -> Iterator[None]:
        prefix.check_writable(self.snapshot_prefix)
        with prefix.held(self.snapshot_prefix):
            for name in ("", *(f"_{name}" for name in self.solvers)):
                prefix.clear_leftovers(self.snapshot_prefix + name)
            yield

    def snapshot(self) -> str:
        """Write the models and states of all solvers, as PREFIX_NAME_iter_N, and the file that
        names them, PREFIX_iter_N.together; returns its path."""
        with self._holding_prefix():
            start, ending = self.snapshot_prefix, f"_iter_{self.iter}"
            pairs = {
                name: snapshot.Pair(solver, f"{start}_{name}{ending}")
                for name, solver in self.solvers.items()
            }
            path = f"{start}{ending}.together"
            states = {
                name: {"state": os.path.basename(pair.state), "checksum": pair.message.checksum}
                for name, pair in pairs.items()
            }
            text = json.dumps({"iter": self.iter, "solvers": states}, indent=1) + "\n"
            files = {file: data for pair in pairs.values() for file, data in pair.files.items()}
            write_all_atomically({**files, path: text.encode()})
            for pair in pairs.values():
                pair.written()
        self._emit("snapshot", iteration=self.iter, state=path)
        return path

    def restore(self, path: Path) -> None:
        """Bring all solvers to what a .together file names, or, with an error, none of them."""
        path = os.fspath(path)
        found = _read(path)
        if found["solvers"].keys() != self.solvers.keys():
            raise SolverError(
                f"{path}: is of solvers named {', '.join(found['solvers'])}, expected "
                f"{', '.join(self.solvers)}"
            )
        with contextlib.ExitStack() as stack:
            checked = []
            for name, solver in self.solvers.items():
                of_this = found["solvers"][name]
                state = os.path.join(os.path.dirname(path), of_this["state"])
                to_check = restoring.checked(
                    solver, state, checksum=of_this["checksum"], said_by=path
                )
                checked.append(stack.enter_context(to_check))
            for apply in checked:
                apply()
        self.iter = found["iter"]

    def resume(self) -> str | None:
        """Restore the latest snapshot at snapshot_prefix that is whole; returns its path.

        None where there is no snapshot yet. Damaged ones are passed over, with a warning.
        """
        found = prefix.those(self.snapshot_prefix, r"\.together")
        for path in found:
            try:
                self.restore(path)
            except CaffeliteError as problem:
                log.warning("%s; passing it over", problem)
                continue
            log.log(NOTICE, "Resuming from %s", path)
            return path
        if found:
            raise SolverError(
                f'snapshot_prefix "{self.snapshot_prefix}": none of the {len(found)} snapshots '
                "there can be gone on from, for the reasons above; move them away to start afresh"
            )
        return None


def _one_each(**solvers: Solver) -> bool:
    stopped = [solver.iterate() for solver in solvers.values()]
    return any(stopped)


def _read(path: str) -> dict[str, Any]:
    """What a .together file holds."""
    text = reading.text(path, most=1 << 20, error=SolverError, takes=("JSON",))
    found = reading.json_object(text, path, error=SolverError)
    try:
        states = {
            name: {"state": str(one["state"]), "checksum": int(one["checksum"])}
            for name, one in found["solvers"].items()
        }
        iteration = int(found["iter"])
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        iteration = -1
    if not 0 <= iteration <= MOST_ITERATIONS:
        raise SolverError(f"{path}: not a .together file, or a damaged one")
    return {"iter": iteration, "solvers": states}
