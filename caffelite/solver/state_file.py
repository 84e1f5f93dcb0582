"""The two formats of a .solverstate, Caffe's binary proto and its HDF5, in and out.

A state holds the iteration, the model's path, the schedule's step and the histories. Beyond Caffe
it holds the seed, how far each layer's random or data stream has come, and what recurrent layers
carry from batch to batch, in fields that Caffe passes over, and a checksum of it all.
"""

import os
import zlib

import numpy as np
from google.protobuf.message import DecodeError

from .. import file_kind
from ..data import hdf5
from ..errors import CaffeliteError, ProtoError, SolverError
from ..kept_bytes import name_of, path_of
from ..net import checksum, weights, weights_file
from ..proto import blob_values, caffe_pb2, message_bytes, wire

_HISTORY = 3  # the field of a SolverState
_EXTRA = "caffelite_state"  # the dataset of an HDF5 state that holds what Caffe does not


# Out


def chunks(state, histories, is_hdf5):
    """The bytes of a file of this SolverState and these arrays, piece by piece."""
    return (_hdf5_chunks if is_hdf5 else _binary_chunks)(state, histories)


def _binary_chunks(state, histories):
    yield message_bytes.serialize(state)
    for array in histories:
        blob = weights.blob_message(array.shape, array)
        yield wire.header(_HISTORY, sum(map(len, blob)))
        yield from blob


def _hdf5_chunks(state, histories):
    def fill(file):
        file.create_dataset("iter", data=np.array([state.iter], "i4"))
        hdf5.put_text(file, "learned_net", path_of(state.learned_net))
        file.create_dataset("current_step", data=np.array([state.current_step], "i4"))
        history = file.create_group("history")
        for index, array in enumerate(histories):
            history.create_dataset(str(index), data=array)
        file.create_dataset(_EXTRA, data=np.frombuffer(message_bytes.serialize(state), "u1"))

    return hdf5.image(fill)


def checksum_of(state, histories):
    """Of all that a state holds but its model's path: files may be renamed."""
    rest = caffe_pb2.SolverState()
    rest.CopyFrom(state)
    rest.ClearField("learned_net")
    rest.ClearField("checksum")
    crc = zlib.crc32(rest.SerializeToString(deterministic=True))
    for array in histories:
        crc = checksum.of_array(array, crc)
    return crc


# In

_TAKES = ("solverstate", "solverstate.h5", "HDF5")  # kinds of files


def check_state(path):
    """Raise a SolverError for a file that is not there, or is something else than a state."""
    weights_file.opened(path, SolverError).close()
    file_kind.check(path, "a .solverstate", SolverError, (*_TAKES, "empty"))


def read(path):
    """(SolverState, histories) of a file."""
    check_state(path)
    return (_read_hdf5 if weights_file.is_hdf5(path, SolverError) else _read_binary)(path)


def check_whole(state, arrays, path):
    """Raise a SolverError if the checksum of a state that has one is not that of what it holds."""
    if state.HasField("checksum") and state.checksum != checksum_of(state, arrays):
        raise SolverError(
            f"{path}: holds something else than was saved in it (the checksum differs): it is "
            "damaged; take another snapshot. Who changes a state on purpose clears its checksum"
        )


def _read_binary(path):
    """The state, and its histories apart: views of what was read, which may be large."""
    with weights_file.opened(path, SolverError) as file:
        if not os.fstat(file.fileno()).st_size:
            raise SolverError(f"{path}: the file is empty, expected a .solverstate")
        buffer = file.read()  # no mapping, which ends a process where the file is cut off
    message, arrays = bytearray(), []
    try:
        for field in wire.fields(buffer, 0, len(buffer)):
            number, kind, span = field
            if (number, kind) == (_HISTORY, wire.LENGTH):
                arrays.append(blob_values.read(buffer, span).data)
            else:
                message += wire.field(buffer, *field)
    except (ProtoError, DecodeError):
        raise damaged(path) from None
    state = _parse(bytes(message), path)
    if not state.HasField("iter"):
        raise damaged(path)
    return state, arrays


def _parse(message, path):
    try:
        state = message_bytes.parse(caffe_pb2.SolverState, message)
    except (DecodeError, ProtoError):
        raise damaged(path) from None
    return state


def damaged(path):
    """The error for a file that is no state, or a damaged one."""
    words = "not a .solverstate, or a damaged one"
    return file_kind.mistake(path, "a .solverstate", SolverError, words, _TAKES)


def _read_hdf5(path):
    with hdf5.open_file(path) as file:
        if "history" not in file and "iter" not in file:
            words = 'expected a .solverstate, but this is an HDF5 file without "iter" and "history"'
            raise file_kind.mistake(path, "a .solverstate", SolverError, words, ("HDF5",))
        state = caffe_pb2.SolverState()
        if _EXTRA in file:
            state = _parse(hdf5.dataset(file, _EXTRA)[()].tobytes(), path)
        state.iter = _integer(file, "iter", path)
        state.current_step = _integer(file, "current_step", path)
        state.learned_net = name_of(hdf5.text(file, "learned_net")) if "learned_net" in file else ""
        history = hdf5.group(file, "history")
        arrays = [hdf5.dataset(history, str(i), least_axes=0)[()] for i in range(len(history))]
        return state, [np.asarray(array) for array in arrays]


def _integer(file, name, path):
    values = np.ravel(hdf5.dataset(file, name)[()])
    if values.shape != (1,) or not 0 <= values[0] < 1 << 31:
        raise damaged(path)
    return int(values[0])


def digest_in(path):
    """The digest of the weights that a state was written with; None if it cannot be read."""
    try:
        if not weights_file.is_hdf5(path, SolverError):
            return _read_binary(path)[0].weights_digest
        with hdf5.open_file(path) as file:
            return _parse(hdf5.dataset(file, _EXTRA)[()].tobytes(), path).weights_digest
    except CaffeliteError:
        return None
