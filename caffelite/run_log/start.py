"""The first record of a run log: what was trained, and with what."""

import importlib.metadata
import platform

from .. import __version__
from ..errors import DataError
from ..kernels import tuning
from ..proto.text import to_text
from ..reading import text

MOST_TEXT = 1 << 20  # characters of a net, bytes of a solver; larger ones hold weights
PACKAGES = ("numpy", "numba", "protobuf", "pillow")


def start_of(solver, command):
    """The record of a solver that is about to begin, or to go on, as `command` says."""
    import numba

    param = solver.param
    of_players = [seat.net for seat in param.player]
    nets = [name for name in (param.net, param.train_net, *of_players, *param.test_net) if name]
    return {
        "event": "start",
        "iteration": solver.iter,
        "command": list(command),
        "solver": to_text(param) if param.ByteSize() < MOST_TEXT else None,
        "nets": {name: _text(name) for name in nets},
        **({"net_changes": solver.net_changes} if solver.net_changes else {}),
        **({"weights": _weights(solver.transfer)} if solver.transfer.rows else {}),
        "seed": solver.seed,
        "dtype": str(solver.net.dtype),
        "threads": numba.get_num_threads(),
        "tuning": tuning.told(),
        "versions": {"caffelite": __version__, "python": platform.python_version()}
        | {name: _version(name) for name in PACKAGES},
    }


def _weights(transfer):
    """What became of each layer with blobs, of the net or of a file of weights."""
    names = ("file", "layer", "outcome", "shapes")
    return [dict(zip(names, row, strict=True)) for row in transfer.rows]


def _text(path):
    """What is in a net's file, None if it is no text any more, or too long."""
    try:
        return text(path, most=MOST_TEXT, takes=("net",))
    except DataError:
        return None


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None  # it lies on the path, and nothing tells
