"""The lowest loss of a training, by which SSD's form of the plateau policy goes."""

import logging
from collections import deque

import numpy as np

from . import lr_policy

log = logging.getLogger("caffelite")


class LowestLoss:
    """The lowest mean of a solver's last average_loss losses, and the iteration of the last event.

    An event is a new lowest loss, or a step of the schedule: where the last one is as many
    iterations ago as plateau_winsize says for this step, the step moves on; after the last
    plateau_winsize, it stays.
    """

    def __init__(self, solver):
        self.solver = solver
        self.value, self.event = np.float32(np.inf), 0
        self.losses = deque(maxlen=solver.param.average_loss)
        self.windows = lr_policy.windows(solver.param)

    def see(self, loss):
        """Take in the loss of an iteration; may move the solver's step on."""
        solver, windows = self.solver, self.windows
        if not windows:
            return
        self.losses.append(loss)
        loss = np.float32(np.mean(self.losses))
        if loss < self.value:
            self.value, self.event = loss, solver.iter
        step = solver.current_step
        if step < len(windows) and solver.iter - self.event >= windows[step]:
            solver.current_step, self.event = step + 1, solver.iter
            log.info("Plateau Status: Iteration %d, step = %d", solver.iter, step + 1)

    def write(self, state):
        """Note it in a SolverState."""
        if np.isfinite(self.value):
            state.minimum_loss, state.iter_last_event = self.value, self.event
            state.recent_loss.extend(self.losses)

    def read(self, state):
        """Take it up from a SolverState."""
        if state.HasField("minimum_loss"):
            self.value, self.event = np.float32(state.minimum_loss), state.iter_last_event
        self.losses = deque(state.recent_loss, self.losses.maxlen)
