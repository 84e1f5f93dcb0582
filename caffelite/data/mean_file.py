"""Files of a mean: an array in numpy's .npy, or in a .binaryproto."""

from .. import file_kind, reading
from . import binaryproto


def read(path):
    """The array in the file, of 3 axes where a .binaryproto has a first one of 1."""
    kind = file_kind.of(path)
    if kind is not None and kind.name == "npy":
        return reading.npy(path)
    array = binaryproto.read(path)
    return array[0] if array.ndim == 4 and len(array) == 1 else array
