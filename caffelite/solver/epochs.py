"""Iterations from epochs, where a solver gives these (max_epoch, test_epoch_size, ...) or a caller.

Of a solver's, as in NVCaffe 0.15, whatever iter_size is: epochs times samples by the samples of a
batch, rounded down.
"""

import logging
import math
from fractions import Fraction

from ..errors import SolverError
from ..net.batches import passes

log = logging.getLogger("caffelite")

MOST_ITERATIONS = 2**31 - 1

_EPOCHS = {"max_iter": "max_epoch", "test_interval": "test_interval_epoch"}


def fill_in(param, net, processes=1):
    """Give max_iter and test_interval, which `net` is trained for, where epochs stand for them.

    Each of so many processes has a batch of the net's. Returns the options that were given.
    """
    filled = []
    for option, epochs in _EPOCHS.items():
        if param.HasField(epochs) and not param.HasField(option):
            samples = param.epoch_size or _pass_size(net, f"{epochs}: give epoch_size, too")
            setattr(
                param, option, int(getattr(param, epochs) * samples / (batch_of(net) * processes))
            )
            filled.append(option)
            log.info("%s makes %s %d", epochs, option, getattr(param, option))
    return filled


def fill_in_tests(param, test_nets):
    """Give each test_iter that is 0, where test_epoch_size stands for it."""
    for k, (samples, net) in enumerate(zip(param.test_epoch_size, test_nets, strict=False)):
        if not param.test_iter[k]:
            samples = samples or _pass_size(net, "test_epoch_size: 0: give a number")
            param.test_iter[k] = int(samples / batch_of(net))
            log.info("test_epoch_size makes test_iter %d", param.test_iter[k])


def unread(param):
    """(option, words) of each of these options given that does nothing."""
    for option, epochs in _EPOCHS.items():
        if param.HasField(epochs) and param.HasField(option):
            yield epochs, f"{epochs} does nothing where {option} is given"
    of_tests = list(param.test_iter)
    if len(param.test_epoch_size) > len(of_tests) or any(of_tests[: len(param.test_epoch_size)]):
        yield (
            "test_epoch_size",
            "test_epoch_size does nothing where test_iter is not 0; give a test_iter: 0 for each "
            "test net that it is to count for",
        )
    if param.epoch_size and not (param.max_epoch or param.test_interval_epoch):
        yield "epoch_size", "epoch_size does nothing without max_epoch or test_interval_epoch"


def iterations_of(solver, epochs):
    """The iterations in which the longest of the sources has served all samples `epochs` times.

    The last iteration may begin the next pass.
    """
    found = list(passes(solver.net))
    if not found:
        raise solver.error("--epochs: the train net has no source of samples; give --iterations")
    for layer, count, _ in found:
        if count is None:
            raise layer.error(
                "how many samples it has is not known, and so not how long an epoch is; "
                "give --iterations",
                SolverError,
            )
    size = solver.param.iter_size * solver.team.size
    longest = max(Fraction(count, batch * size) for _, count, batch in found)
    iterations = math.ceil(Fraction(str(epochs)) * longest)
    if iterations > MOST_ITERATIONS:
        raise solver.error(f"{epochs:g} epochs are {iterations} iterations, too many")
    return iterations


def batch_of(net):
    """Axis 0 of the first blob that has axes: how many samples a batch of a net has."""
    for blob in net.blobs.values():
        if blob.shape:
            return blob.shape[0]
    return 1


def _pass_size(net, words):
    """How many samples a pass over the net's data has."""
    sizes = [layer.pass_size for layer in net.layers if layer.pass_size]
    if not sizes:
        raise SolverError(f"{words}: the net's data do not tell how many samples they are")
    return sizes[0]
