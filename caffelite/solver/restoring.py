"""Going on from a snapshot: the state and the model that it names, both whole, or an error.

A run resumed ends with the very bits of one that was never stopped. A model of the right name with
other weights than the state was written with is refused.
"""

import contextlib
import logging
import os
import zlib

import numpy as np

from .. import rng
from ..errors import CaffeliteError, SolverError
from ..glog import NOTICE
from ..kept_bytes import path_of
from ..kernels import tuning
from ..net import weights
from ..net.transfer import REFUSE, WARN
from ..proto import blob_values, caffe_pb2
from . import prefix
from .rules import RULES
from .snapshot import carried, histories_of, nets_of, rate_in_history
from .state_file import check_whole, damaged, read

MOST_STEPS = 1 << 30  # of a schedule, and tests: more than a run comes to, with room to count on
MANY = 1000  # values that hardly have one sign by chance

log = logging.getLogger("caffelite")


def resume(solver, allow_other_weights=False):
    """Restore the latest snapshot at the solver's prefix that is whole; returns its path, or None.

    None says that there is no snapshot. If there are some, and none of them is whole, going on
    afresh would write over them: that is an error.
    """
    found = prefix.states(solver.param.snapshot_prefix)
    for path in found:
        try:
            restore(solver, path, allow_other_weights)
        except CaffeliteError as problem:
            log.warning("%s; passing it over", problem)
            continue
        log.log(NOTICE, "Resuming from %s", path)
        last = max(found[found.index(path) :], key=prefix.written)
        if prefix.written(last) > prefix.written(path):
            log.warning("%s was written later; --snapshot goes on from it, if that is meant", last)
        return path
    at = f'snapshot_prefix "{solver.param.snapshot_prefix}"'
    if found:
        raise SolverError(
            f"{at}: none of the {len(found)} snapshots there can be gone on from, for the reasons "
            "above; move them away to start afresh"
        )
    log.log(NOTICE, "%s: no snapshot there to resume from: starting afresh", at)
    return None


def restore(solver, path, allow_other_weights=False):
    """Bring `solver` to the state in the file, the model that it names included.

    Nothing is changed unless both are whole, fit the solver, and belong together; with
    `allow_other_weights` the model may hold others than the state was written with.
    """
    with checked(solver, path, allow_other_weights) as apply:
        apply()


@contextlib.contextmanager
def checked(solver, path, allow_other_weights=False, checksum=None, said_by=""):
    """Check what `restore` checks; the function that then brings the solver to that state.

    Where the file `said_by` tells a checksum, the state must be the one that has it.
    """
    state, arrays = read(path)
    if checksum is not None and state.checksum != checksum:
        raise SolverError(f"{path}: is not the state that {said_by} was written with")
    _check_fit(solver, state, arrays, path)
    blobs = list(_carried(solver, state, path)) if state.HasField("seed") else []
    if allow_other_weights:
        blobs = [pair for pair in blobs if pair[0] not in solver.net.code_scales]
    check_whole(state, arrays, path)
    with contextlib.ExitStack() as stack:
        model = None
        if state.learned_net:
            model = stack.enter_context(_model_of(solver, state, path, allow_other_weights))

        def apply():
            if model:
                whole = state.HasField("weights_digest") and not allow_other_weights
                model.copy(REFUSE if whole else WARN)
            take_up(solver, state, arrays, blobs)

        yield apply


def take_up(solver, state, arrays, blobs=()):
    """Go on from a state with these histories; weights are there already.

    `blobs` is (blob, its values) of what layers carry from batch to batch.
    """
    for target, array in zip(histories_of(solver), arrays, strict=True):
        target[...] = array.reshape(target.shape)
    _let_frozen_blobs_roll_out(solver)
    solver.share_with_test_nets()
    solver.iter, solver.current_step = state.iter, state.current_step
    solver.state_before_tests, solver.written = None, list(state.written)
    solver.monitor.so_far.CopyFrom(state.progress)
    solver.lowest_loss.read(state)
    if state.HasField("seed"):
        _restore_streams(solver, state)
    for blob, values in blobs:
        blob.data[...] = values


def _check_fit(solver, state, arrays, path):
    done = state.progress
    counts = state.current_step, done.best_iter, done.tests_since_best, done.tests_since_step
    counts = *counts, state.iter_last_event
    if state.iter < 0 or not all(0 <= count <= MOST_STEPS for count in counts):
        raise damaged(path)
    targets = histories_of(solver)
    if len(arrays) != len(targets):
        raise SolverError(
            f"{path}: holds {len(arrays)} histories, expected {len(targets)}: it was written by "
            f"another type of solver than {solver.type}, or for another net"
        )
    for index, (target, array) in enumerate(zip(targets, arrays, strict=True)):
        if array.size != target.size or (path.endswith(".h5") and array.shape != target.shape):
            raise SolverError(
                f"{path}: history {index} has the shape {array.shape}, expected {target.shape}: it "
                "was written for another net"
            )
    _check_meaning(solver, state, arrays, path)
    differs = state.rate_in_history != rate_in_history(solver)
    if differs and solver.param.momentum and any(map(np.any, arrays)):
        written, wanted = ("true", "false") if state.rate_in_history else ("false", "true")
        raise SolverError(
            f"{path}: was written with rate_in_history: {written}, expected {wanted}, as the "
            f"solver says: its histories mean another step; write {written}, or begin anew from "
            "the model's weights"
        )


def _check_meaning(solver, state, arrays, path):
    """Raise a SolverError for histories that mean something else than those of the solver's rule.

    Our own states tell the type of the solver that wrote them. Those of Caffe do not: of these can
    be told that squares have no sign, and warned where momentum has one sign alone.
    """
    kind, names = solver.param.type, solver.rule.history_names
    out = "write that type into the solver, or begin anew from the model's weights"
    wrote = RULES.get(state.solver_type)
    if wrote and wrote.history_names != names and any(map(np.any, arrays)):
        raise SolverError(
            f"{path}: was written by a solver of the type {state.solver_type}, which keeps "
            f"{_listed(wrote.history_names)}, expected {_listed(names)}, as {kind} does; {out}"
        )
    per_name = len(solver.net.learnable)
    for place, name in enumerate(names):
        values = arrays[place * per_name : (place + 1) * per_name]
        is_negative = any(np.min(array, initial=0) < 0 for array in values)
        if name in solver.rule.never_negative and is_negative:
            raise SolverError(
                f"{path}: has values below 0 where {kind} keeps {name}: another type of solver "
                f"wrote it; {out}"
            )
        if name in solver.rule.never_negative or is_negative or wrote:
            continue
        if sum(map(np.count_nonzero, values)) > MANY:
            log.warning(
                "%s: has no value below 0 where %s keeps %s: if another solver type wrote it, %s",
                *(path, kind, name, out),
            )


def _listed(names):
    return " and ".join(f'"{name}"' for name in names)


def _model_of(solver, state, path, allow_other_weights):
    """The Loading of the state's model, checked to be that."""
    file = _find_model(state, path)
    model = weights.Loading([solver.net], [file], tolerant=allow_other_weights)
    if not state.HasField("weights_digest") or model.digest(solver.net) == state.weights_digest:
        return model
    text = f"{file}: holds other weights than {path} was written with"
    if not allow_other_weights:
        model.close()
        raise SolverError(
            f"{text} (it names {state.learned_net}): put its own model beside it, or go on with "
            "these weights by --allow-other-weights, in Python restore(..., "
            "allow_other_weights=True)"
        )
    log.warning("%s; going on with these weights, as --allow-other-weights says", text)
    return model


def _let_frozen_blobs_roll_out(solver):
    """Blobs frozen since the snapshot go on by what their history holds, as in Caffe."""
    for entry, history in zip(solver.net.learnable, solver.history, strict=True):
        if entry.lr_mult == 0 and any(past.any() for past in history.values()):
            entry.blob.diff.fill(0)  # the solver passes over blobs without a diff


def _restore_streams(solver, state):
    solver.seed = state.seed
    wrote, here = state.tuning or tuning.NONE, tuning.told()
    if wrote.split()[-1] != here.split()[-1]:
        log.warning(
            "the state was written with other thresholds of convolutions (%s) than are taken here "
            "(%s): results may differ in their last bits",
            *(wrote, here),
        )
    positions = {(at.net, at.layer): at for at in state.position}
    for index, (net_name, net) in enumerate(nets_of(solver)):
        net.reseed(rng.derive(solver.seed, index))
        for layer in net.layers:
            at = positions.get((net_name, layer.name), caffe_pb2.LayerPosition())
            layer.seek(at.count)
            if words := _other_order(layer, at):
                log.warning(
                    "%s: %s: the order of each pass is another one. Of the pass that was under "
                    "way, some samples come again and some not at all",
                    *(layer.at, words),
                )


def _other_order(layer, at):
    """Why samples come in another order than before the snapshot that was written `at`, or ""."""
    if layer.drawn_for is None or not at.HasField("length"):
        return ""
    when = "when the snapshot was written"
    if layer.drawn_for != at.length:
        return f"was of {at.length} samples {when}, and is of {layer.drawn_for} now"
    if at.HasField("layout") and at.layout != zlib.crc32(layer.layout):
        return f"its shards had other lengths {when}, or shuffle_buffer was another"
    return ""


def _carried(solver, state, path):
    """(blob, its values) of what recurrent layers carry on, and what files have in another form."""
    told = {(of.net, of.layer): of.state for of in state.carried}
    for net_name, net in nets_of(solver):
        for layer in net.layers:
            saved = told.get((net_name, layer.name), [])
            arrays = [blob_values.of_message(blob).data for blob in saved]
            found = [(tuple(of.shape.dim), a.size) for of, a in zip(saved, arrays, strict=True)]
            blobs = carried(net, layer)
            expected = [(blob.shape, blob.count) for blob in blobs]
            if found != expected:
                raise SolverError(
                    f"{path}: what {layer.at} carries from batch to batch has {_told(found)} "
                    f"in it, expected {_told(expected)}: it was written for another net, or one "
                    "that reads another number of streams; --weights starts anew from its weights "
                    "alone"
                )
            for blob, array in zip(blobs, arrays, strict=True):
                yield blob, array.reshape(blob.shape)


def _told(blobs):
    """(shape, count) of blobs in words."""
    return ", ".join(f"{shape} of {count} numbers" for shape, count in blobs) or "nothing"


def _find_model(state, path):
    """The model beside the state; or else, and first for states of Caffe, where the state says."""
    named = path_of(state.learned_net)
    beside = os.path.join(os.path.dirname(path), os.path.basename(named))
    if not os.path.exists(beside):
        return named
    if state.HasField("weights_digest"):
        return beside
    if not os.path.exists(named):
        log.warning("%s is not there; taking %s", named, beside)
        return beside
    if not os.path.samefile(named, beside):
        log.warning("%s names %s, which is taken, as in Caffe, and not %s", path, named, beside)
    return named
