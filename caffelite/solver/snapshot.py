"""Snapshots: the model and the .solverstate, written as a pair, in both of Caffe's formats.

A state has the digest of its model's weights, so that a model of the same name with other weights
is found out when a run goes on from it.
"""

import logging
import os
import zlib

from ..atomic import write_all_atomically
from ..kept_bytes import name_of, path_of
from ..kernels import tuning
from ..net import weights
from ..proto import caffe_pb2
from . import prefix
from .state_file import checksum_of, chunks, digest_in

log = logging.getLogger("caffelite")


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
    pair = Pair(solver, _start(solver))
    write_all_atomically(pair.files)
    pair.written()
    return pair.model, pair.state


def paths(solver):
    """(model path, state path) of a snapshot of this moment."""
    return _names(solver, _start(solver))


def _start(solver):
    return f"{solver.param.snapshot_prefix}_iter_{solver.iter}"


def _names(solver, start):
    ending = ".h5" if _writes_hdf5(solver) else ""
    return f"{start}.caffemodel{ending}", f"{start}.solverstate{ending}"


class Pair:
    """A snapshot to be written: paths of its model and its state, and what is in these files."""

    def __init__(self, solver, start):
        is_hdf5 = _writes_hdf5(solver)
        kind = "HDF5" if is_hdf5 else "binary proto"
        self.solver = solver
        self.model, self.state = _names(solver, start)
        log.info("Snapshotting to %s file %s", kind, self.model)
        contents = weights.hdf5_contents if is_hdf5 else weights.binary_contents
        model_chunks, digest = contents(solver.net, solver.param.snapshot_diff)
        log.info("Snapshotting solver state to %s file %s", kind, self.state)
        this = caffe_pb2.WrittenSnapshot(iter=solver.iter, weights_digest=digest)
        self._kept = [other for other in solver.written if other.iter != solver.iter] + [this]
        self.message = _state_message(solver, self.model, digest, self._kept)
        state_chunks = chunks(self.message, histories_of(solver), is_hdf5)
        self.files = {self.model: model_chunks, self.state: state_chunks}

    def written(self):
        """Take note that the files are in their places."""
        self.solver.written = self._kept if self.solver.keep else []


def _remove_old(solver):
    """Remove the pairs that this run wrote and does not keep; others that took a name over stay."""
    while solver.keep and len(solver.written) > solver.keep:
        old = solver.written.pop(0)
        for ending in prefix.ENDINGS:
            start = f"{solver.param.snapshot_prefix}_iter_{old.iter}"
            model, state = f"{start}.caffemodel{ending}", f"{start}.solverstate{ending}"
            if os.path.exists(path_of(state)) and digest_in(state) == old.weights_digest:
                for path in (state, model):  # at no time a state without its model
                    _remove(path)


def _remove(path):
    try:
        os.unlink(path)
    except OSError as problem:
        log.warning("%s: cannot be removed: %s", path, problem.strerror)


def _writes_hdf5(solver):
    return solver.param.snapshot_format == caffe_pb2.SolverParameter.HDF5


def histories_of(solver):
    """The history arrays in the order of the files: by kind, then by learnable blob."""
    return [history[name] for name in solver.rule.history_names for history in solver.history]


def rate_in_history(solver):
    """Whether histories hold gradients that were multiplied by the rate, as Caffe's all do."""
    return solver.param.rate_in_history or "rate_in_history" not in solver.rule.reads


def write_best(solver):
    """Write the model as PREFIX_best, over the one before; returns its path."""
    is_hdf5 = _writes_hdf5(solver)
    path = f"{solver.param.snapshot_prefix}_best.caffemodel{'.h5' if is_hdf5 else ''}"
    log.info("Iteration %d is the best so far: keeping it as %s", solver.iter, path)
    (solver.net.save_hdf5 if is_hdf5 else solver.net.save)(path)
    return path


def carried(net, layer):
    """The blobs of a layer whose values go with the state: what files have of them is another."""
    return [*layer.carried, *(blob for blob in layer.blobs if blob in net.code_scales)]


def state_of(solver):
    """The SolverState of this moment, without histories and model."""
    state = caffe_pb2.SolverState(
        iter=solver.iter,
        solver_type=solver.param.type,
        current_step=solver.current_step,
        seed=solver.seed,
        progress=solver.monitor.so_far,
    )
    solver.lowest_loss.write(state)
    if not rate_in_history(solver):
        state.rate_in_history = False
    if (told := tuning.told()) != tuning.NONE:
        state.tuning = told
    for net_name, net in nets_of(solver):
        for layer in net.layers:
            if layer.position:
                at = state.position.add(net=net_name, layer=layer.name, count=layer.position)
                if layer.drawn_for is not None:
                    at.length, at.layout = layer.drawn_for, zlib.crc32(layer.layout)
            if kept := carried(net, layer):
                blobs = [_blob_proto(blob.data) for blob in kept]
                state.carried.add(net=net_name, layer=layer.name, state=blobs)
    return state


def _blob_proto(array):
    return caffe_pb2.BlobProto.FromString(b"".join(weights.blob_message(array.shape, array)))


def _state_message(solver, model, digest, written):
    state = caffe_pb2.SolverState()
    state.CopyFrom(solver.state_before_tests or state_of(solver))
    state.learned_net, state.weights_digest = name_of(model), digest
    if solver.keep:
        state.written.extend(written[-solver.keep - 1 :])
    state.checksum = checksum_of(state, histories_of(solver))
    return state


def nets_of(solver):
    yield "train", solver.net
    for k, net in enumerate(solver.test_nets):
        yield f"test{k}", net
    for player in solver.players[:-1]:
        yield f"player {player.name}", player.net
