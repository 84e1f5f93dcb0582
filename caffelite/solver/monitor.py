"""The early-stopping monitor: whether tests still get better; plateau and early_stop go by it."""

import math

import numpy as np

from ..errors import SolverError, did_you_mean
from ..proto import caffe_pb2
from . import lr_policy

_WHO = "plateau, stepearly and early_stop"


class Monitor:
    """The best value of what a solver monitors, and how many tests came after it.

    That is a figure that a measure of test net 0 shows, such as an output of the net, or its loss.
    Losses are to fall; of the others, the measure knows.

    Parameters
    ----------
    solver : the Solver, whose test nets are made
    measures : those of the tests of test net 0, [] without one
    """

    def __init__(self, solver, measures):
        self.name = solver.param.monitor
        self.rises = False
        self.so_far = caffe_pb2.TestProgress()
        is_used = solver.param.early_stop or lr_policy.goes_by_tests(solver.param)
        if is_used and not solver.test_nets:
            raise SolverError(f"{_WHO} go by test passes, but there is no test net")
        if is_used and solver.param.test_iter[0] < 1:
            raise SolverError(
                f"{_WHO} go by test passes, but the first test_iter is "
                f"{solver.param.test_iter[0]}, so there is nothing to go by"
            )
        if not self.name and lr_policy.goes_by_what_rises(solver.param):
            self.name = _first_that_rises(measures, solver.param.lr_policy)
        if is_used and not self.name and not any(solver.test_nets[0].blob_loss_weights.values()):
            shown = ", ".join(name for measure in measures for name in measure.shows())
            raise SolverError(
                f"{_WHO} go by the loss of test net 0, which has none; let monitor name what to go "
                f"by: {shown}"
            )
        if self.name and measures:
            self.rises = self._measure(measures).rises(self.name)

    def _measure(self, measures):
        """The measure that shows what is monitored."""
        for measure in measures:
            if self.name in measure.shows():
                return measure
        shown = [name for measure in measures for name in measure.shows()]
        hint = did_you_mean(self.name, shown) or f"; it has {', '.join(shown)}"
        raise SolverError(f'monitor: test net 0 has no output "{self.name}"{hint}')

    def see(self, loss, outputs, iteration):
        """Take in what a test pass gave; returns whether it is the best so far."""
        # a measure leaves out what it cannot tell, as R^2 of targets that are all the same
        value = float(np.mean(outputs.get(self.name, math.nan))) if self.name else loss
        so_far = self.so_far
        if not so_far.HasField("best") or self._is_better(value, so_far.best):
            self.so_far = caffe_pb2.TestProgress(best=value, best_iter=iteration)
            return True
        so_far.tests_since_best += 1
        so_far.tests_since_step += 1
        return False

    def _is_better(self, value, best):
        return math.isnan(best) or (value > best if self.rises else value < best)

    def step_is_due(self, patience):
        """Whether `patience` tests did not improve since the best, or since the last step."""
        if self.so_far.tests_since_step < patience:
            return False
        self.so_far.tests_since_step = 0
        return True

    def __str__(self):
        verb = "risen above" if self.rises else "fallen below"
        so_far = self.so_far
        return (
            f"{self.name or 'loss'} has not {verb} {so_far.best:g}, of iteration "
            f"{so_far.best_iter}, in {so_far.tests_since_best} tests"
        )


def _first_that_rises(measures, policy):
    for measure in measures:
        for name in measure.shows():
            if measure.rises(name):
                return name
    raise SolverError(
        f'lr_policy "{policy}" goes by the accuracy of tests, but test net 0 has no output that is '
        "no loss; add an Accuracy layer, or let monitor name what to go by"
    )
