"""Values that callers give by the name of a blob: inputs before forward, diffs before backward."""

import numpy as np

from .. import rng
from ..errors import CaffeliteError, NetError
from .unsplit import without_splits


def check_names(method, given, known):
    """Raise an error unless all names are known, and there are any."""
    unknown = [name for name in given if name not in known]
    if unknown or not given:
        raise NetError(f"{method} takes arrays for {known}, not for {sorted(given)}")


def set_all(net, method, ends, kind, given):
    """Set the "data" or "diff" of all the net's "inputs" or "outputs", if any are given."""
    if not given:
        return
    if set(given) != set(getattr(net, ends)):
        raise NetError(f"{method}: the net's {ends} are {getattr(net, ends)}, not {sorted(given)}")
    given = {name: np.asarray(values) for name, values in given.items()}
    if kind == "data":
        _take_batch_size(net, given)
    for name, values in given.items():
        _set(getattr(net.blobs[name], kind), name, values)


def set_pictures(net):
    """Let inputs for sizes of pictures, and for regions of them, be some of its 4-axis input.

    A net in two stages runs on no others. Regions are drawn, always the same ones.
    """
    given = [net.blobs[name] for name in net.inputs]
    height, width = next((blob.shape[2:] for blob in given if len(blob.shape) == 4), (1, 1))
    for node, bottoms in without_splits(net.nodes):
        layer = node.layer
        if layer.picture_sizes is not None and bottoms[layer.picture_sizes] in net.inputs:
            sizes = net.blobs[bottoms[layer.picture_sizes]].data
            sizes.reshape(len(sizes), -1)[...] = [height, width, 1, 1][: sizes[0].size]
        if layer.regions is not None and bottoms[layer.regions] in net.inputs:
            rois = net.blobs[bottoms[layer.regions]].data
            rois[:, 0] = 0
            ends = rng.generator(0).random((len(rois), 2, 2)) * [width - 1, height - 1]
            rois[:, 1:] = np.sort(ends, axis=1).reshape(rois[:, 1:].shape)


def _take_batch_size(net, given):
    """Reshape inputs, and all that follows, for arrays that differ from them in axis 0 alone."""
    blobs = {name: net.blobs[name] for name in given}
    before = {name: blob.shape for name, blob in blobs.items()}
    if not any(_other_batch(given[name].shape, shape) for name, shape in before.items()):
        return
    try:
        for name, shape in before.items():
            if _other_batch(given[name].shape, shape):
                blobs[name].reshape(*given[name].shape)
        net.reshape()
    except CaffeliteError as problem:
        for name, blob in blobs.items():
            blob.reshape(*before[name])
        net.reshape()
        shapes = ", ".join(f"{before[name]} to {given[name].shape}" for name in given)
        raise NetError(
            f"the net cannot be reshaped from {shapes}: {problem}; forward_all takes any number of "
            "samples, in batches of the net's size"
        ) from problem


def _other_batch(shape, wanted):
    """Whether arrays of this shape are as many samples, or more or fewer, of what is wanted."""
    if shape == wanted or not shape or not shape[0]:
        return False
    return len(shape) == len(wanted) and shape[1:] == wanted[1:]


def _set(array, name, values):
    if array.ndim and (values.ndim == 0 or values.shape[0] != array.shape[0]):
        raise NetError(
            f'"{name}" has shape {array.shape}, got {values.shape}; forward_all takes any number '
            "of samples, and net.blobs[...].reshape() another shape"
        )
    array[...] = values
