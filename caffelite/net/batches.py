"""Many samples through a net, batch by batch: what pycaffe calls forward_all."""

from itertools import zip_longest

import numpy as np

from ..errors import NetError


def data_set(net):
    """(number of samples, those in a batch) of the net's data layer, or None if not known."""
    for layer in net.layers:
        if layer.pass_size is not None:
            return layer.pass_size, layer.options.batch_size
    return None


def whole_set(net):
    """(number of samples, those in a batch) of all of the net's sources, which go in step.

    None where they do not, or where one does not know how many samples it has.
    """
    found = {(size, batch) for _, size, batch in passes(net)}
    known = found.pop() if len(found) == 1 else (None, 0)
    return known if known[0] is not None else None


def passes(net):
    """(layer, its number of samples or None, those in a batch) of each layer that brings some."""
    for node in net.nodes:
        layer = node.layer
        if layer.pass_size is not None:
            yield layer, layer.pass_size, layer.options.batch_size
        elif not node.bottom_names and layer.role != "dummy" and not layer.blobs:
            yield layer, None, 0


def set_batch_size(net, size):
    """Let the net's sources serve batches of another size from now on."""
    for node in net.nodes:
        if node.layer.pass_size is not None and node.layer.options.batch_size != size:
            node.layer.set_batch_size(size)
            node.refresh()


def forward_all(net, names, inputs):
    """{blob name: values for all samples}, of the outputs and the blobs `names`."""
    count = _count(inputs)
    parts = [_copies(net.forward(blobs=names, **batch)) for batch in split(net, inputs)]
    return _join(parts, count, _batch_size(net))


def forward_backward_all(net, names, diff_names, values):
    """({blob name: values}, {blob name: diffs}) for all samples; `values` are inputs and diffs."""
    count = _count(values)
    inputs = {name: values[name] for name in net.inputs if name in values}
    diffs = {name: values[name] for name in net.outputs if name in values}
    outs, ins = [], []
    for forward, backward in zip_longest(split(net, inputs), split(net, diffs), fillvalue={}):
        outs.append(_copies(net.forward(blobs=names, **forward)))
        ins.append(_copies(net.backward(diffs=diff_names, **backward)))
    size = _batch_size(net)
    return _join(outs, count, size), _join(ins, count, size)


def split(net, values):
    """Yield {name: one batch} until all samples are through; zeros fill up the last batch."""
    size, count = _batch_size(net), _count(values)
    for first in range(0, count, size):
        batch = {name: np.asarray(array[first : first + size]) for name, array in values.items()}
        yield {name: _padded(array, size) for name, array in batch.items()}


def _padded(array, size):
    if len(array) == size:
        return array
    padded = np.zeros((size, *array.shape[1:]), array.dtype)
    padded[: len(array)] = array
    return padded


def _batch_size(net):
    return next(iter(net.blobs.values())).num


def _count(values):
    """The number of samples; all arrays have as many."""
    counts = {name: len(array) for name, array in values.items()}
    if len(set(counts.values())) > 1 or 0 in counts.values():
        raise NetError(f"expected as many samples, at least 1, for each blob, not {counts}")
    return next(iter(counts.values()), 0)


def _copies(arrays):
    return {name: np.atleast_1d(array.copy()) for name, array in arrays.items()}


def _join(parts, count, size):
    """Stack the batches; what has a row per sample loses those of the padding."""
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    padded = len(parts) * size
    return {n: a[:count] if len(a) == padded else a for n, a in joined.items()}
