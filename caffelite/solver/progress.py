"""Progress: whether test passes still get better; what plateau and early_stop go by."""

import logging
import math

import numpy as np

from ..errors import SolverError, did_you_mean
from ..proto import caffe_pb2
from . import lr_policy

log = logging.getLogger("caffelite")


class Progress:
    """The best value of what a solver monitors, and how many tests came after it.

    That is an output of test net 0, or its loss. Losses are to fall, other outputs to rise.
    """

    def __init__(self, solver):
        self.name = solver.param.monitor
        self.rises = False
        self.so_far = caffe_pb2.TestProgress()
        is_used = solver.param.early_stop or lr_policy.goes_by_tests(solver.param)
        if is_used and not solver.test_nets:
            raise SolverError("plateau and early_stop go by test passes, but there is no test net")
        if is_used and solver.param.test_iter[0] < 1:
            raise SolverError(
                "plateau and early_stop go by test passes, but the first test_iter is "
                f"{solver.param.test_iter[0]}, so there is nothing to go by"
            )
        if not solver.test_nets:
            return
        net = solver.test_nets[0]
        if self.name and self.name not in net.outputs:
            hint = did_you_mean(self.name, net.outputs) or f"; it has {', '.join(net.outputs)}"
            raise SolverError(f'monitor: test net 0 has no output "{self.name}"{hint}')
        self.rises = bool(self.name) and not _is_loss(net, self.name)

    def see(self, loss, outputs, iteration):
        """Take in what a test pass gave; returns whether it is the best so far."""
        value = float(np.mean(outputs[self.name])) if self.name else loss
        now, so_far = (value, self.so_far)
        if not so_far.HasField("best") or self._is_better(now, so_far.best):
            self.so_far = caffe_pb2.TestProgress(best=now, best_iter=iteration)
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


def _is_loss(net, name):
    producer = next(node.layer for node in reversed(net.nodes) if name in node.top_names)
    return producer.role == "loss" or net.blob_loss_weights[name] != 0
