"""Snapshots: the model and the .solverstate, in both of Caffe's formats.

A state holds the iteration, the model's path, the schedule's step and the histories. Beyond Caffe
it holds the seed, how far each layer's random or data stream has come, and what recurrent layers
carry from batch to batch, in fields that Caffe passes over: a run resumed from it ends with the
very bits of one that was never stopped.
"""

import contextlib
import errno
import logging
import mmap
import os
import tempfile

import numpy as np
from google.protobuf.message import DecodeError

from .. import rng
from ..atomic import write_atomically
from ..data import hdf5
from ..errors import ProtoError, SolverError
from ..net import weights, weights_file
from ..proto import caffe_pb2, wire

_HISTORY = 3  # the field of a SolverState
_EXTRA = "caffelite_state"  # the dataset of an HDF5 state that holds what Caffe does not

log = logging.getLogger("caffelite")


def check_prefix(prefix):
    """Raise a SolverError if snapshots cannot be written at `prefix`, as far as looking tells."""
    if not prefix:
        raise SolverError("snapshot_prefix must be set, since snapshots are to be written")
    with _refused(prefix):
        with contextlib.suppress(FileNotFoundError):
            os.stat(f"{prefix}_iter_12345678.solverstate.h5")
        folder = os.path.dirname(os.path.abspath(prefix))
        while not os.path.exists(folder):
            folder = os.path.dirname(folder)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def check_writable(prefix):
    """Raise a SolverError if snapshots cannot be written at `prefix`; makes its directory."""
    check_prefix(prefix)
    folder, name = os.path.split(prefix)
    with _refused(prefix):
        os.makedirs(folder or ".", exist_ok=True)
        tempfile.NamedTemporaryFile(
            prefix=f"{name}_iter_", suffix=".solverstate.h5", dir=folder or "."
        ).close()


@contextlib.contextmanager
def _refused(prefix):
    try:
        yield
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", problem)
        raise SolverError(f'snapshot_prefix "{prefix}": cannot write there: {reason}') from None


# Writing


def write(solver):
    """Write both files of a snapshot; returns (model path, state path)."""
    prefix = f"{solver.param.snapshot_prefix}_iter_{solver.iter}"
    check_writable(solver.param.snapshot_prefix)
    if solver.param.snapshot_format == caffe_pb2.SolverParameter.HDF5:
        model, state, kind = f"{prefix}.caffemodel.h5", f"{prefix}.solverstate.h5", "HDF5"
        save, save_state = solver.net.save_hdf5, _write_hdf5
    else:
        model, state, kind = f"{prefix}.caffemodel", f"{prefix}.solverstate", "binary proto"
        save, save_state = solver.net.save, _write_binary
    log.info("Snapshotting to %s file %s", kind, model)
    save(model, solver.param.snapshot_diff)
    log.info("Snapshotting solver state to %s file %s", kind, state)
    save_state(solver, state, model)
    return model, state


def _histories(solver):
    """The history arrays in the order of the files: by kind, then by learnable blob."""
    return [history[name] for name in solver.history_names for history in solver.history]


def write_best(solver):
    """Write the model as PREFIX_best, over the one before; returns its path."""
    is_hdf5 = solver.param.snapshot_format == caffe_pb2.SolverParameter.HDF5
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


def _state_message(solver, model):
    state = caffe_pb2.SolverState()
    state.CopyFrom(solver.state_before_tests or state_of(solver))
    state.learned_net = model
    return state


def _nets(solver):
    yield "train", solver.net
    for k, net in enumerate(solver.test_nets):
        yield f"test{k}", net


def _write_binary(solver, path, model):
    chunks = [_state_message(solver, model).SerializeToString()]
    for array in _histories(solver):
        blob = weights.blob_message(array.shape, array)
        chunks += [wire.header(_HISTORY, sum(map(len, blob))), *blob]
    write_atomically(path, chunks)


def _write_hdf5(solver, path, model):
    state = _state_message(solver, model)

    def fill(file):
        file.create_dataset("iter", data=np.array([state.iter], "i4"))
        hdf5.put_text(file, "learned_net", model)
        file.create_dataset("current_step", data=np.array([state.current_step], "i4"))
        history = file.create_group("history")
        for index, array in enumerate(_histories(solver)):
            history.create_dataset(str(index), data=array)
        file.create_dataset(_EXTRA, data=np.frombuffer(state.SerializeToString(), "u1"))

    hdf5.write_file(path, fill)


# Restoring


def restore(solver, path):
    """Bring `solver` to the state in the file, the model that it names included."""
    is_hdf5 = path.endswith(".h5")
    state, arrays = _read_hdf5(path) if is_hdf5 else _read_binary(path)
    if min(state.iter, state.current_step) < 0:
        raise _damaged(path)
    targets = _histories(solver)
    if len(arrays) != len(targets):
        raise SolverError(
            f"{path}: holds {len(arrays)} histories, expected {len(targets)}: it was written by "
            f"another type of solver than {solver.type}, or for another net"
        )
    for index, (target, array) in enumerate(zip(targets, arrays, strict=True)):
        if array.size != target.size or (is_hdf5 and array.shape != target.shape):
            raise SolverError(
                f"{path}: history {index} has the shape {array.shape}, expected {target.shape}: it "
                "was written for another net"
            )
    carried = list(_carried(solver, state, path)) if state.HasField("seed") else []
    if state.learned_net:
        solver.net.copy_from(_find_model(state.learned_net, path))
    for target, array in zip(targets, arrays, strict=True):
        target[...] = array.reshape(target.shape)
    _let_frozen_blobs_roll_out(solver)
    solver.iter, solver.current_step = state.iter, state.current_step
    solver.state_before_tests = None
    solver.progress.so_far.CopyFrom(state.progress)
    if state.HasField("seed"):
        _restore_streams(solver, state)
    for blob, values in carried:
        blob.data[...] = values


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


def _find_model(recorded, state_path):
    """The model where the state says it is, or else beside the state."""
    beside = os.path.join(os.path.dirname(state_path), os.path.basename(recorded))
    if not os.path.exists(recorded) and os.path.exists(beside):
        log.warning("%s is not there; taking %s", recorded, beside)
        return beside
    return recorded


def _values(blob):
    return np.asarray(blob.double_data or blob.data)


def _read_binary(path):
    """The state, and its histories apart: views of the mapped file, which may be large."""
    try:
        with open(path, "rb") as file:
            if not os.fstat(file.fileno()).st_size:
                raise SolverError(f"{path}: the file is empty, expected a .solverstate")
            buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as problem:
        raise SolverError(f"{path}: cannot read the solver state: {problem.strerror}") from None
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
