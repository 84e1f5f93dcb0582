"""Training, on the CPU: what python/train.py does on GPUs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from ....solver import get_solver
from ..._caffe import Timer, init_log, log


def main(words: Sequence[str]) -> None:
    """Train from a solver's prototxt for max_iter iterations."""
    flags = argparse.ArgumentParser(description="Train a net.")
    flags.add_argument("--solver", required=True, help="the solver's prototxt")
    flags.add_argument("--snapshot", help="a .solverstate to go on from")
    flags.add_argument("--gpus", type=int, nargs="+", default=[0], help="passed over")
    flags.add_argument("--timing", action="store_true", help="log the time of each layer")
    args = flags.parse_args(list(words))
    init_log()
    log(f"Passing over devices {args.gpus}: there is no GPU support here, running on the CPU")
    solver = get_solver(args.solver)
    if args.snapshot:
        solver.restore(args.snapshot)
    if args.timing:
        _time(solver)
    solver.step(solver.param.max_iter)


def _time(solver: Any) -> None:
    """Log, where losses are displayed, how long each layer took."""
    names = solver.net._layer_names
    forward, backward = ([Timer() for _ in names] for _ in range(2))
    solver.net.before_forward(lambda place: forward[place].start())
    solver.net.after_forward(lambda place: forward[place].stop())
    solver.net.before_backward(lambda place: backward[place].start())
    solver.net.after_backward(lambda place: backward[place].stop())
    total = Timer()

    def show() -> None:
        total.stop()
        if solver.param.display and solver.iter % solver.param.display == 0:
            for word, timers in (("forw", forward), ("back", backward)):
                for place, name in enumerate(names):
                    log(f"{word} {place:3d} {name:>8} : {timers[place].ms:.2f}")
            log(f"solver total: {total.ms:.2f}")

    solver.add_callback(total.start, show)
