"""Snapshots: the model and the .solverstate, in both of Caffe's formats.

A state holds the iteration, the model's path, the schedule's step and the histories. Beyond Caffe
it holds the seed, how far each layer's random or data stream has come, and what recurrent layers
carry from batch to batch, in fields that Caffe passes over: a run resumed from it ends with the
very bits of one that was never stopped. It has a checksum, and the digest of its model's weights: a
model of the same name with other weights is refused.
"""

import logging
import mmap
import os
import zlib

import numpy as np
from google.protobuf.message import DecodeError

from .. import rng
from ..atomic import write_all_atomically
from ..data import hdf5
from ..errors import CaffeliteError, ProtoError, SolverError
from ..glog import NOTICE
from ..net import checksum, weights, weights_file
from ..net.transfer import REFUSE, WARN
from ..proto import caffe_pb2, wire
from ..reading import opened
from . import prefix

_HISTORY = 3  # the field of a SolverState
_EXTRA = "caffelite_state"  # the dataset of an HDF5 state that holds what Caffe does not

MOST_STEPS = 1 << 30  # of a schedule, and tests: more than a run comes to, with room to count on

log = logging.getLogger("caffelite")


# Writing


def check(solver):
    """Raise an error, before it trains, for what would keep a solver from writing snapshots."""
    prefix.check_writable(solver.param.snapshot_prefix)
    if _writes_hdf5(solver):
        weights.check_hdf5(solver.net)
    names = [layer.name for layer in solver.net.layers if layer.blobs]
    twice = sorted({f'"{name}"' for name in names if names.count(name) > 1})
    if twice:
        log.warning(
            "several layers with weights have the name %s: files hold them by name, so training "
            "cannot go on from a snapshot; give each a name of its own",
            " and ".join(twice),
        )


def write(solver):
    """Write both files of a snapshot; returns (model path, state path).

    The model takes its place when the state, too, is on disk, so that they come as a pair. Then
    older pairs are removed, if the solver keeps but so many.
    """
    prefix.check_writable(solver.param.snapshot_prefix)
    with prefix.held(solver.param.snapshot_prefix):
        paths = _write(solver)
        _remove_old(solver)
    return paths


def _write(solver):
    start = f"{solver.param.snapshot_prefix}_iter_{solver.iter}"
    is_hdf5 = _writes_hdf5(solver)
    ending, kind = (".h5", "HDF5") if is_hdf5 else ("", "binary proto")
    model, state = f"{start}.caffemodel{ending}", f"{start}.solverstate{ending}"
    log.info("Snapshotting to %s file %s", kind, model)
    contents = weights.hdf5_contents if is_hdf5 else weights.binary_contents
    chunks, digest = contents(solver.net, solver.param.snapshot_diff)
    log.info("Snapshotting solver state to %s file %s", kind, state)
    this = caffe_pb2.WrittenSnapshot(iter=solver.iter, weights_digest=digest)
    written = [other for other in solver.written if other.iter != solver.iter] + [this]
    message = _state_message(solver, model, digest, written)
    state_chunks = (_hdf5_chunks if is_hdf5 else _binary_chunks)(message, _histories(solver))
    write_all_atomically({model: chunks, state: state_chunks})
    solver.written = written if solver.keep else []
    return model, state


def _remove_old(solver):
    """Remove the pairs that this run wrote and does not keep; others that took a name over stay."""
    while solver.keep and len(solver.written) > solver.keep:
        old = solver.written.pop(0)
        for ending in prefix.ENDINGS:
            start = f"{solver.param.snapshot_prefix}_iter_{old.iter}"
            model, state = f"{start}.caffemodel{ending}", f"{start}.solverstate{ending}"
            if os.path.exists(state) and _digest_in(state) == old.weights_digest:
                for path in (state, model):  # at no time a state without its model
                    _remove(path)


def _digest_in(path):
    """The digest of the weights that a state was written with; None if it cannot be read."""
    try:
        if not path.endswith(".h5"):
            return _read_binary(path)[0].weights_digest
        with hdf5.open_file(path) as file:
            return _parse(hdf5.dataset(file, _EXTRA)[()].tobytes(), path).weights_digest
    except CaffeliteError:
        return None


def _remove(path):
    try:
        os.unlink(path)
    except OSError as problem:
        log.warning("%s: cannot be removed: %s", path, problem.strerror)


def _writes_hdf5(solver):
    return solver.param.snapshot_format == caffe_pb2.SolverParameter.HDF5


def _histories(solver):
    """The history arrays in the order of the files: by kind, then by learnable blob."""
    return [history[name] for name in solver.rule.history_names for history in solver.history]


def write_best(solver):
    """Write the model as PREFIX_best, over the one before; returns its path."""
    is_hdf5 = _writes_hdf5(solver)
    path = f"{solver.param.snapshot_prefix}_best.caffemodel{'.h5' if is_hdf5 else ''}"
    log.info("Iteration %d is the best so far: keeping it as %s", solver.iter, path)
    (solver.net.save_hdf5 if is_hdf5 else solver.net.save)(path)
    return path


def state_of(solver):
    """The SolverState of this moment, without histories and model."""
    state = caffe_pb2.SolverState(
        iter=solver.iter,
        current_step=solver.current_step,
        seed=solver.seed,
        progress=solver.progress.so_far,
    )
    for net_name, net in _nets(solver):
        for layer in net.layers:
            if layer.position:
                state.position.add(net=net_name, layer=layer.name, count=layer.position)
            if layer.carried:
                blobs = [_blob_proto(blob.data) for blob in layer.carried]
                state.carried.add(net=net_name, layer=layer.name, state=blobs)
    return state


def _blob_proto(array):
    return caffe_pb2.BlobProto.FromString(b"".join(weights.blob_message(array.shape, array)))


def _state_message(solver, model, digest, written):
    state = caffe_pb2.SolverState()
    state.CopyFrom(solver.state_before_tests or state_of(solver))
    state.learned_net, state.weights_digest = model, digest
    if solver.keep:
        state.written.extend(written[-solver.keep - 1 :])
    state.checksum = _checksum(state, _histories(solver))
    return state


def _checksum(state, histories):
    """Of all that a state holds but its model's path: files may be renamed."""
    rest = caffe_pb2.SolverState()
    rest.CopyFrom(state)
    rest.ClearField("learned_net")
    rest.ClearField("checksum")
    crc = zlib.crc32(rest.SerializeToString(deterministic=True))
    for array in histories:
        crc = checksum.of_array(array, crc)
    return crc


def _nets(solver):
    yield "train", solver.net
    for k, net in enumerate(solver.test_nets):
        yield f"test{k}", net


def _binary_chunks(state, histories):
    yield state.SerializeToString()
    for array in histories:
        blob = weights.blob_message(array.shape, array)
        yield wire.header(_HISTORY, sum(map(len, blob)))
        yield from blob


def _hdf5_chunks(state, histories):
    def fill(file):
        file.create_dataset("iter", data=np.array([state.iter], "i4"))
        hdf5.put_text(file, "learned_net", state.learned_net)
        file.create_dataset("current_step", data=np.array([state.current_step], "i4"))
        history = file.create_group("history")
        for index, array in enumerate(histories):
            history.create_dataset(str(index), data=array)
        file.create_dataset(_EXTRA, data=np.frombuffer(state.SerializeToString(), "u1"))

    return hdf5.image(fill)


# Restoring


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
    state, arrays = _read_hdf5(path) if path.endswith(".h5") else _read_binary(path)
    _check_fit(solver, state, arrays, path)
    carried = list(_carried(solver, state, path)) if state.HasField("seed") else []
    if state.HasField("checksum") and state.checksum != _checksum(state, arrays):
        raise SolverError(
            f"{path}: holds something else than was saved in it (the checksum differs): it is "
            "damaged; take another snapshot. Who changes a state on purpose clears its checksum"
        )
    if state.learned_net:
        with _model_of(solver, state, path, allow_other_weights) as model:
            whole = state.HasField("weights_digest") and not allow_other_weights
            model.copy(REFUSE if whole else WARN)
    for target, array in zip(_histories(solver), arrays, strict=True):
        target[...] = array.reshape(target.shape)
    _let_frozen_blobs_roll_out(solver)
    solver.iter, solver.current_step = state.iter, state.current_step
    solver.state_before_tests, solver.written = None, list(state.written)
    solver.progress.so_far.CopyFrom(state.progress)
    if state.HasField("seed"):
        _restore_streams(solver, state)
    for blob, values in carried:
        blob.data[...] = values


def _check_fit(solver, state, arrays, path):
    done = state.progress
    counts = state.current_step, done.best_iter, done.tests_since_best, done.tests_since_step
    if state.iter < 0 or not all(0 <= count <= MOST_STEPS for count in counts):
        raise _damaged(path)
    targets = _histories(solver)
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
    positions = {(at.net, at.layer): at.count for at in state.position}
    for index, (net_name, net) in enumerate(_nets(solver)):
        net.reseed(rng.derive(solver.seed, index))
        for layer in net.layers:
            layer.seek(positions.get((net_name, layer.name), 0))


def _carried(solver, state, path):
    """(blob, its values) of all that recurrent layers carry from batch to batch."""
    carried = {(of.net, of.layer): of.state for of in state.carried}
    for net_name, net in _nets(solver):
        for layer in net.layers:
            saved = carried.get((net_name, layer.name), [])
            arrays = [_values(blob) for blob in saved]
            found = [(tuple(of.shape.dim), a.size) for of, a in zip(saved, arrays, strict=True)]
            if found != [(blob.shape, blob.count) for blob in layer.carried]:
                raise SolverError(
                    f"{path}: what {layer.at} carries from batch to batch has other shapes in it: "
                    "it was written for another net"
                )
            for blob, array in zip(layer.carried, arrays, strict=True):
                yield blob, array.reshape(blob.shape)


def _find_model(state, path):
    """The model beside the state; or else, and first for states of Caffe, where the state says."""
    named = state.learned_net
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


def _values(blob):
    return np.asarray(blob.double_data or blob.data)


def _read_binary(path):
    """The state, and its histories apart: views of the mapped file, which may be large."""
    failing = "cannot read the solver state"
    with opened(path, "rb", SolverError, failing, piped=False) as file:
        if not os.fstat(file.fileno()).st_size:
            raise SolverError(f"{path}: the file is empty, expected a .solverstate")
        buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    message, arrays = bytearray(), []
    try:
        for field in wire.fields(buffer, 0, len(buffer)):
            number, kind, span = field
            if (number, kind) == (_HISTORY, wire.LENGTH):
                arrays.append(weights_file.read_blob(buffer, span).data)
            else:
                message += wire.field(buffer, *field)
    except (ProtoError, DecodeError):
        raise _damaged(path) from None
    return _parse(bytes(message), path), arrays


def _parse(message, path):
    try:
        state = caffe_pb2.SolverState.FromString(message)
        state.learned_net.encode()
    except (DecodeError, AttributeError):  # protobuf gives a string that is no UTF-8 as bytes
        raise _damaged(path) from None
    return state


def _damaged(path):
    return SolverError(f"{path}: not a .solverstate, or a damaged one")


def _read_hdf5(path):
    with hdf5.open_file(path) as file:
        state = caffe_pb2.SolverState()
        if _EXTRA in file:
            state = _parse(hdf5.dataset(file, _EXTRA)[()].tobytes(), path)
        state.iter = _integer(file, "iter", path)
        state.current_step = _integer(file, "current_step", path)
        state.learned_net = hdf5.text(file, "learned_net") if "learned_net" in file else ""
        history = hdf5.group(file, "history")
        arrays = [hdf5.dataset(history, str(i), least_axes=0)[()] for i in range(len(history))]
        return state, [np.asarray(array) for array in arrays]


def _integer(file, name, path):
    values = np.ravel(hdf5.dataset(file, name)[()])
    if values.shape != (1,) or not 0 <= values[0] < 1 << 31:
        raise _damaged(path)
    return int(values[0])
