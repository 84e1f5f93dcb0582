"""What training says of itself: the mean loss, the lines of displayed iterations, and why it ended.

Lines are Caffe's, to the letter, since log parsers read them.
"""

import logging
import time
from collections import deque

import numpy as np

from ..errors import SolverError

log = logging.getLogger("caffelite")


class Display:
    """The losses of a solver's last average_loss iterations, and the time since it last showed."""

    def __init__(self, solver):
        self.solver = solver
        self.losses = deque(maxlen=solver.param.average_loss)
        self.since = time.perf_counter(), solver.iter

    @property
    def loss(self):
        """The mean of the losses of the last average_loss iterations."""
        return sum(self.losses) / len(self.losses)

    def show(self):
        """Log where training is; returns the same as a dict."""
        solver, (since, iteration) = self.solver, self.since
        now = time.perf_counter()
        seconds = now - since
        self.since = now, solver.iter
        log.info(
            "Iteration %d (%g iter/s, %gs/%d iters), loss = %g",
            solver.iter,
            (solver.iter - iteration) / (seconds or 1),
            seconds,
            solver.param.display,
            self.loss,
        )
        outputs, weights = {}, {}
        for player in solver.players:
            for name in player.net.outputs:
                shown = name if name not in outputs else f"{player.name}/{name}"
                outputs[shown] = player.net.blobs[name].data.copy()
                weights[shown] = player.net.blob_loss_weights[name]
        outputs = solver.team.mean_outputs(outputs)
        log_outputs("Train", weights, outputs)
        return {
            "iteration": solver.iter,
            "loss": self.loss,
            "seconds": seconds,
            "outputs": outputs,
        }


def log_outputs(phase, weights, outputs):
    """One line per element, as log parsers expect, counted over all outputs, of which some have
    weights in the loss."""
    number = 0
    for name, values in outputs.items():
        weight = weights.get(name, 0)
        for value in np.ravel(values):
            loss = f" (* {weight:g} = {weight * value:g} loss)" if weight else ""
            log.info("    %s net output #%d: %s = %g%s", phase, number, name, value, loss)
            number += 1


def diverged(iteration, player, loss):
    """The error for a loss that is not finite, which names the first such value in the net."""
    whose = f'the loss of player "{player.name}"' if player.name else "the loss"
    for node in player.net.nodes:
        layer = node.layer
        for kind, names, blobs in (
            ("learnable blob", layer.blob_names, layer.blobs),
            ("top", node.top_names, node.top_blobs),
        ):
            for name, blob in zip(names, blobs, strict=True):
                if not np.isfinite(blob.data).all():
                    return SolverError(
                        f"iteration {iteration}: {whose} is {loss:g}; the first value that is "
                        f'not finite is in {kind} "{name}" of {layer.at}. Snapshots written '
                        "so far are kept. A lower base_lr, clip_gradients or scaled input data "
                        "is the usual way out"
                    )
    return SolverError(f"iteration {iteration}: {whose} is {loss:g}")
