"""Values that callers give by the name of a blob: inputs before forward, diffs before backward."""

import numpy as np

from ..errors import NetError


def check_names(method, given, known):
    """Raise an error unless all names are known, and there are any."""
    unknown = [name for name in given if name not in known]
    if unknown or not given:
        raise NetError(f"{method} takes arrays for {known}, not for {sorted(given)}")


def set_all(net, method, ends, kind, given):
    """Set the "data" or "diff" of all the net's "inputs" or "outputs", if any are given."""
    if given and set(given) != set(getattr(net, ends)):
        raise NetError(f"{method}: the net's {ends} are {getattr(net, ends)}, not {sorted(given)}")
    for name, values in given.items():
        _set(getattr(net.blobs[name], kind), name, np.asarray(values))


def _set(array, name, values):
    if array.ndim and (values.ndim == 0 or values.shape[0] != array.shape[0]):
        raise NetError(
            f'"{name}" has shape {array.shape}, got {values.shape}; reshape the blob first '
            "to run another batch size"
        )
    array[...] = values
