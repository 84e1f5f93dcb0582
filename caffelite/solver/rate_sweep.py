"""A sweep of learning rates: a short training whose rate grows from one iteration to the next."""

import math
from typing import NamedTuple

import numpy as np

from ..errors import SolverError
from .base import get_solver
from .policies import POLICIES

LEAST, MOST, ITERATIONS = 1e-6, 10.0, 200
_KEPT = 0.9  # of the smoothed loss, from one iteration to the next
_TOO_HIGH = 4  # times the lowest smoothed loss: from there on it only grows
_FIRST = 10  # iterations that tell too little
_LEFT_OUT = (  # fields of what does not run in a sweep
    *("test_net", "test_net_param", "test_iter", "test_interval", "test_state", "eval_type"),
    *("test_initialization", "test_epoch_size", "test_interval_epoch", "max_epoch", "epoch_size"),
    *("snapshot", "early_stop", "monitor", "min_lr", "warmup_iter", "warmup_start_lr"),
    *("rampup_interval", "rampup_lr"),
)


class Sweep(NamedTuple):
    """What a sweep has found; all lists have an entry for each iteration that ran."""

    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    """means of the losses so far, the last ones counted most"""
    diverged: bool
    """whether it ended since the loss grew beyond measure, and not at the largest rate"""

    @property
    def best(self):
        """The iteration with the lowest smoothed loss."""
        return int(np.argmin(self.smoothed))

    @property
    def suggested(self):
        """A tenth of the rate at which the smoothed loss was lowest; None if it never fell.

        There the loss is about to grow; a training needs some distance from that.
        """
        return float(f"{self.rates[self.best] / 10:.2g}") if self.best >= _FIRST else None


def sweep(param, file="", least=LEAST, most=MOST, iterations=ITERATIONS, net_changes=()):
    """The Sweep of a solver from `least` to `most`, growing by the same factor each iteration.

    It trains a solver of its own, from the weights that `param`, a SolverParameter, says, so that
    nobody else's weights change; nothing is written. Without a random_seed it is 1, so that the
    same sweep gives the same numbers.
    """
    if not 0 < least < most < math.inf or iterations <= _FIRST:
        raise SolverError(
            f"expected rates with 0 < least < most, and more than {_FIRST} iterations, not "
            f"{least:g}, {most:g} and {iterations}"
        )
    solver = get_solver(_growing(param, least, most, iterations), file, net_changes)
    solver.net.only_look()
    found = Sweep([], [], [], diverged=False)
    mean = 0.0
    for number in range(iterations):
        rate, loss = solver.lr, _iterate(solver)
        if not math.isfinite(loss):
            if not number:
                raise SolverError(
                    f"the loss is {loss:g} in the first iteration, before any rate counts: look at "
                    "the data, its scale, and the fillers or weights to start from"
                )
            return found._replace(diverged=True)
        mean = _KEPT * mean + (1 - _KEPT) * loss
        found.rates.append(rate)
        found.losses.append(loss)
        found.smoothed.append(mean / (1 - _KEPT ** (number + 1)))
        lowest = min(found.smoothed)
        if number > _FIRST and found.smoothed[-1] > lowest + (_TOO_HIGH - 1) * abs(lowest):
            return found._replace(diverged=True)
    return found


def _iterate(solver):
    """One iteration, which may diverge; returns its loss."""
    losses = []

    def gradients():
        losses.append(solver.net.forward_backward())
        return losses[-1] if math.isfinite(losses[-1]) else 0.0

    with np.errstate(all="ignore"):
        solver.iterate(gradients)
    return sum(losses) / len(losses)


def _growing(param, least, most, iterations):
    """The SolverParameter with a rate that grows, and with nothing that tests or writes."""
    own = type(param)()
    own.CopyFrom(param)
    for name in (*POLICIES.all_reads(), *_LEFT_OUT):
        own.ClearField(name)
    own.lr_policy, own.base_lr = "exp", least
    own.gamma = (most / least) ** (1 / (iterations - 1))
    own.max_iter, own.display, own.snapshot_after_train = iterations, 0, False
    if own.random_seed < 0:
        own.random_seed = 1
    return own
