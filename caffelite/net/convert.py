"""Weights without a net: .caffemodel, HDF5 and safetensors, each into each other.

In between they are {layer name: {index of the blob: array}}. In safetensors, blob 0 of layer conv1
is called "conv1/0", as it is in HDF5.
"""

import os
import re

import numpy as np

from .. import reading
from ..atomic import write_atomically
from ..data import hdf5
from ..errors import WeightsError, missing_extra, short
from ..proto import caffe_pb2
from . import checksum, weights, weights_file

ENDINGS = (".caffemodel", ".h5", ".hdf5", ".safetensors")


def read(path, net=None, tolerant=False):
    """The weights in a file of any of the kinds, which shows in the file itself.

    If the file has a checksum that is not that of its weights, that is an error, or, if `tolerant`,
    a warning.

    Old .caffemodels give shapes as num, channels, height, width, which may have 1s in front that
    are none of the blob's; then the `net` tells the shapes.
    """
    path = os.fspath(path)
    if weights_file.is_hdf5(path):
        layers = _read_hdf5(path, tolerant)
    elif _is_safetensors(path):
        layers = _read_safetensors(path)
    else:
        layers = _read_binary(path, net, tolerant)
    if not layers:
        raise WeightsError(f"{path}: no layer in it has weights")
    return layers


def write(path, layers):
    """Write weights as a file of the kind that its ending says."""
    path = os.fspath(path)
    if path.endswith(".safetensors"):
        _write_safetensors(path, layers)
    elif path.endswith((".h5", ".hdf5")):
        _write_hdf5(path, layers)
    else:
        _write_binary(path, layers)


# .caffemodel


def _read_binary(path, net, tolerant):
    layers = {}
    with weights_file.BinaryFile(path) as file:
        file.check(tolerant)
        for name, saved in file.layers:
            if saved and name not in layers:
                layers[name] = {
                    index: _array(blob, f'{path}: blob {index} of layer "{name}"', net, name, index)
                    for index, blob in enumerate(saved)
                }
    return layers


def _array(saved, what, net, name, index):
    shape = saved.shape
    if saved.legacy:
        if net is None:
            raise WeightsError(
                f"{what} is of a file so old that its shape, {shape}, has 4 axes whatever the "
                "blob has; give the net, which knows"
            )
        blobs = net.layer_dict[name].blobs if name in net.layer_dict else []
        if index >= len(blobs) or not saved.fits(blobs[index].shape):
            raise WeightsError(f"{what}, {shape}, does not fit the net")
        shape = blobs[index].shape
    if reading.shape(shape, saved.data.size) is not None:
        return saved.read().reshape(shape)
    declared = short(str(shape), 200)
    raise WeightsError(f"{what} holds {saved.data.size} values, which is not its shape {declared}")


def _write_binary(path, layers):
    for name, blobs in layers.items():
        if sorted(blobs) != list(range(len(blobs))):
            raise WeightsError(
                f'{path}: layer "{name}" has the blobs {sorted(blobs)}: those missing are '
                "shared with another layer, and HDF5 does not say with which; load the "
                "weights into their net, and save that"
            )
    layers = {
        name: {index: _of_protobuf(blobs[index]) for index in sorted(blobs)}
        for name, blobs in layers.items()
    }

    def chunks():
        yield caffe_pb2.NetParameter(checksum=_checksum(layers)).SerializeToString()
        for name, blobs in layers.items():
            messages = [weights.blob_message(array.shape, array) for array in blobs.values()]
            yield from weights.layer_message(caffe_pb2.LayerParameter(name=name), messages)

    write_atomically(path, chunks())


def _checksum(layers):
    return checksum.of_lines(
        checksum.line(name, index, array.shape, checksum.of_array(array))
        for name, blobs in layers.items()
        for index, array in blobs.items()
    )


def _of_protobuf(array):
    return array if array.dtype == np.float64 else np.asarray(array, np.float32)


# HDF5


def _read_hdf5(path, tolerant):
    layers = {}
    with weights_file.Hdf5File(path) as file:
        file.check(tolerant)
        for name in file.names:
            blobs = {
                _index(path, f"{name}/{key}"): blob.values for key, blob in file.blobs(name).items()
            }
            if blobs:
                layers[name] = blobs
    return layers


def _write_hdf5(path, layers):
    def fill(file):
        file.attrs[weights_file.CHECKSUM] = np.uint32(_checksum(layers))
        for name, blobs in layers.items():
            if problem := weights.hdf5_name_problem(name):
                raise WeightsError(problem, file=path)
            group = file.create_group(f"data/{name}")
            for index, array in blobs.items():
                group.create_dataset(str(index), data=array)

    hdf5.write_file(path, fill)


# safetensors


def _is_safetensors(path):
    """A length, as 8 bytes, and so much JSON."""
    with weights_file.opened(path) as file:
        start = file.read(9)
        return start[8:] == b"{" and int.from_bytes(start[:8], "little") <= os.path.getsize(path)


def _read_safetensors(path):
    safetensors = _package()
    try:
        tensors = safetensors.load_file(path)
    except Exception as problem:  # of the package, or of numpy for types it does not know
        raise WeightsError(f"{path}: cannot be read as safetensors: {problem}") from None
    layers = {}
    for key, array in tensors.items():
        layers.setdefault(key.rpartition("/")[0], {})[_index(path, key)] = array
    return layers


def _index(path, key):
    if not re.search(r"/(0|[1-9][0-9]{0,8})$", key):
        raise WeightsError(f'{path}: "{short(key)}" is none of Caffe\'s; expected LAYER/NUMBER')
    return reading.integer(key.rpartition("/")[2], path)


def _write_safetensors(path, layers):
    safetensors = _package()
    tensors = {
        f"{name}/{index}": np.ascontiguousarray(array).reshape(array.shape)
        for name, blobs in layers.items()
        for index, array in blobs.items()
    }
    try:
        content = safetensors.save(tensors)
    except Exception as problem:  # the package's own, for types it does not know
        raise WeightsError(f"{path}: cannot be written as safetensors: {problem}") from None
    write_atomically(path, content)


def _package():
    try:
        import safetensors.numpy
    except ImportError:
        raise missing_extra("safetensors", "safetensors") from None
    return safetensors.numpy
