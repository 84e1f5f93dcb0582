"""Training in stages: solvers one after another, each from the weights that the one before gave.

A stage starts from these by the names of layers, as from any `weights`; where its prototxt has
`weights` of its own, from those alone, which may be what any stage before has written.
"""

import logging
import os

from ..errors import SolverError
from ..proto import caffe_pb2
from . import prefix

log = logging.getLogger("caffelite")


def files_of(text):
    """The prototxts of a list of names, separated by commas; a file of the whole name is one."""
    names = [text] if os.path.exists(text) else [name.strip() for name in text.split(",")]
    if not all(names):
        raise SolverError(f'"{text}": expected names of files, separated by commas')
    return names


def check(params, files):
    """Raise a SolverError, before any of them trains, for stages that cannot follow each other."""
    at = {}
    for param, file in zip(params, files, strict=True):
        place = os.path.realpath(param.snapshot_prefix)
        if place in at:
            raise SolverError(
                f"{file}: has the snapshot_prefix of the stage {at[place]}, "
                f'"{param.snapshot_prefix}"; give each stage one of its own'
            )
        at[place] = file
    for param, file in zip(params[:-1], files, strict=False):
        if not param.snapshot_after_train:
            raise SolverError(
                f"{file}: snapshot_after_train is off, but the next stage starts from its weights"
            )


def warn_if_older(param, file, model):
    """Say so if a stage is to go on from a snapshot that is older than the model of the one before:
    it may have started from other weights."""
    found = prefix.states(param.snapshot_prefix)
    if found and os.path.exists(model) and prefix.written(found[0]) < prefix.written(model):
        log.warning(
            "%s: %s is older than %s, which the stage starts from: move its snapshots "
            "away if it is to start from what that is now",
            *(file, found[0], model),
        )


def is_done(solver):
    """Whether a stage that was resumed has nothing left to train."""
    return solver.iter >= solver.param.max_iter


def model_after(solver):
    """The model that a finished stage gives: the last one, or with early_stop the best one."""
    ending = ".h5" if solver.param.snapshot_format == caffe_pb2.SolverParameter.HDF5 else ""
    start = solver.param.snapshot_prefix
    best = f"{start}_best.caffemodel{ending}"
    if solver.param.early_stop and os.path.exists(best):
        return best
    return f"{start}_iter_{solver.iter}.caffemodel{ending}"
