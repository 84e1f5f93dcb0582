"""Whether all ranks are about to train the same: versions, solver, nets, and data."""

import importlib.metadata
import platform
import zlib

import numpy as np

from .. import __version__
from ..errors import SolverError
from ..net import checksum
from ..solver.snapshot import nets_of
from .faults import alike

PACKAGES = ("numpy", "numba")


def check_same(comm, host, facts):
    """Raise, on all ranks, a SolverError that names the first of the facts in which one differs.

    Rank 0 alone tells of it.
    """
    with alike(comm):
        _check_same(comm.allgather((host, facts)))


def _check_same(every):
    ours_host, ours = every[0]
    for rank, (host_of, theirs) in enumerate(every):
        for what in (*ours, *theirs):
            if ours.get(what) != theirs.get(what):
                raise SolverError(
                    f"rank {rank} of {len(every)}, on {host_of}, has another {what} than rank 0, "
                    f"on {ours_host}: {theirs.get(what)}, expected {ours.get(what)}; all ranks "
                    "need the same files and versions"
                )


def facts_of(solver):
    """{what: text} of versions, of the solver and of its nets, in which ranks must not differ."""
    found = {"version of caffelite": __version__, "version of Python": platform.python_version()}
    for name in PACKAGES:
        found[f"version of {name}"] = importlib.metadata.version(name)
    param = type(solver.param).FromString(solver.param.SerializeToString())
    # what is in these files counts, not where they are; epochs come to what the data are
    for name in ("weights", "net", "train_net", "test_net", "random_seed", *solver.of_epochs):
        param.ClearField(name)
    found["solver"] = _crc(param.SerializeToString(deterministic=True))
    for where, layer in _layers(solver):
        found[where] = _crc(layer.param.SerializeToString(deterministic=True))
        found[f"shapes in {where}"] = str([blob.shape for blob in layer.blobs])
    return found


def data_of(solver):
    """{what: text} that tells the data of a solver's nets from others."""
    every = ((where, *fact) for where, layer in _layers(solver) for fact in _data(layer))
    return {f"{what} in {where}": text for where, what, text in every}


def _layers(solver):
    for name, net in nets_of(solver):
        for layer in net.layers:
            yield f'layer "{layer.name}" in the {name} net', layer


def _data(layer):
    """What tells a layer's data from others."""
    if layer.pass_size is None:
        return
    yield "number of samples", str(layer.pass_size)
    source = layer.idle_source()
    for what, number in (("first sample", 0), ("last sample", layer.pass_size - 1)):
        yield what, f"{_of_sample(source.sample(number)):08x}"
    layer.seek(layer.position)


def _of_sample(sample, crc=0):
    """A checksum of a sample, of whichever parts."""
    if isinstance(sample, np.ndarray) and sample.dtype != object:
        return checksum.of_array(np.atleast_1d(sample), crc)
    if isinstance(sample, (list, tuple)):
        for part in sample:
            crc = _of_sample(part, crc)
        return crc
    text = sample if isinstance(sample, bytes) else repr(sample).encode()
    return zlib.crc32(text, crc)


def _crc(data):
    return f"{zlib.crc32(data):08x}"
