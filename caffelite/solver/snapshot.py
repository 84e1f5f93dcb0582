"""Snapshots: the model and the .solverstate, in both of Caffe's formats.

A state holds the iteration, the model's path, the schedule's step and the histories. Beyond Caffe
it holds the seed, how far each layer's random or data stream has come, and what recurrent layers
carry from batch to batch, in fields that Caffe passes over: a run resumed from it ends with the
very bits of one that was never stopped.
"""

import logging
import os

import numpy as np
from google.protobuf.message import DecodeError

from .. import rng
from ..atomic import write_atomically
from ..data import hdf5
from ..errors import SolverError
from ..net import weights
from ..proto import caffe_pb2

_EXTRA = "caffelite_state"  # the dataset of an HDF5 state that holds what Caffe does not

log = logging.getLogger("caffelite")


def check_writable(prefix):
    """Raise a SolverError if snapshots cannot be written at `prefix`; makes its directory."""
    if not prefix:
        raise SolverError("snapshot_prefix must be set, since snapshot is")
    folder = os.path.dirname(prefix) or "."
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as problem:
        raise SolverError(
            f'snapshot_prefix "{prefix}": cannot make {folder}: {problem.strerror}'
        ) from None
    if not os.access(folder, os.W_OK):
        raise SolverError(f'snapshot_prefix "{prefix}": no permission to write in {folder}')


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
        chunks += [weights.wire.header(3, sum(map(len, blob))), *blob]
    write_atomically(path, chunks)


def _write_hdf5(solver, path, model):
    state = _state_message(solver, model)

    def fill(file):
        file.create_dataset("iter", data=np.array([state.iter], "i4"))
        file.create_dataset("learned_net", data=np.bytes_(model))
        file.create_dataset("current_step", data=np.array([state.current_step], "i4"))
        history = file.create_group("history")
        for index, array in enumerate(_histories(solver)):
            history.create_dataset(str(index), data=array)
        file.create_dataset(_EXTRA, data=np.frombuffer(state.SerializeToString(), "u1"))

    hdf5.write_file(path, fill)


# Restoring


def restore(solver, path):
    """Bring `solver` to the state in the file, the model that it names included."""
    read = _read_hdf5 if path.endswith(".h5") else _read_binary
    state, arrays = read(path)
    targets = _histories(solver)
    if len(arrays) != len(targets):
        raise SolverError(
            f"{path}: holds {len(arrays)} histories, expected {len(targets)}: it was written by "
            f"another type of solver than {solver.type}, or for another net"
        )
    for index, (target, array) in enumerate(zip(targets, arrays, strict=True)):
        if array.size != target.size:
            raise SolverError(
                f"{path}: history {index} has {array.size} values, expected {target.size}: it was "
                "written for another net"
            )
    if state.learned_net:
        solver.net.copy_from(_find_model(state.learned_net, path))
    for target, array in zip(targets, arrays, strict=True):
        target[...] = array.reshape(target.shape)
    solver.iter, solver.current_step = state.iter, state.current_step
    solver.state_before_tests = None
    solver.progress.so_far.CopyFrom(state.progress)
    if state.HasField("seed"):
        _restore_streams(solver, state)
        _restore_carried(solver, state, path)


def _restore_streams(solver, state):
    solver.seed = state.seed
    positions = {(at.net, at.layer): at.count for at in state.position}
    for index, (net_name, net) in enumerate(_nets(solver)):
        net.reseed(rng.derive(solver.seed, index))
        for layer in net.layers:
            layer.seek(positions.get((net_name, layer.name), 0))


def _restore_carried(solver, state, path):
    carried = {(of.net, of.layer): of.state for of in state.carried}
    for net_name, net in _nets(solver):
        for layer in net.layers:
            saved = carried.get((net_name, layer.name), [])
            arrays = [_values(blob).reshape(tuple(blob.shape.dim)) for blob in saved]
            if [a.shape for a in arrays] != [blob.shape for blob in layer.carried]:
                raise SolverError(
                    f"{path}: what {layer.at} carries from batch to batch has other shapes in it: "
                    "it was written for another net"
                )
            for blob, array in zip(layer.carried, arrays, strict=True):
                blob.data[...] = array


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
    try:
        with open(path, "rb") as file:
            raw = file.read()
        state = caffe_pb2.SolverState.FromString(raw)
    except OSError as problem:
        raise SolverError(f"{path}: cannot read the solver state: {problem.strerror}") from None
    except DecodeError:
        raise SolverError(f"{path}: not a .solverstate, or a damaged one") from None
    if not raw:
        raise SolverError(f"{path}: the file is empty, expected a .solverstate")
    arrays = [_values(blob) for blob in state.history]
    state.ClearField("history")
    return state, arrays


def _read_hdf5(path):
    with hdf5.open_file(path) as file:
        state = caffe_pb2.SolverState()
        if _EXTRA in file:
            state.ParseFromString(hdf5.dataset(file, _EXTRA)[()].tobytes())
        state.iter = int(hdf5.dataset(file, "iter")[0])
        state.current_step = int(hdf5.dataset(file, "current_step")[0])
        learned_net = file["learned_net"][()] if "learned_net" in file else b""
        state.learned_net = learned_net.decode() if isinstance(learned_net, bytes) else learned_net
        history = hdf5.group(file, "history")
        arrays = [hdf5.dataset(history, str(i), least_axes=0)[()] for i in range(len(history))]
        return state, [np.asarray(array) for array in arrays]
