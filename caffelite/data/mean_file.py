"""Files of a mean: an array in numpy's .npy, or in a .binaryproto."""

import io

import numpy as np

from .. import reading
from ..errors import DataError
from . import binaryproto

_MAGIC = b"\x93NUMPY"


def read(path):
    """The array in the file, of 3 axes where a .binaryproto has a first one of 1."""
    content = reading.data(path)
    if not content.startswith(_MAGIC):
        array = binaryproto.read(path)
        return array[0] if array.ndim == 4 and len(array) == 1 else array
    try:
        return np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, MemoryError) as problem:
        raise DataError(f"{path}: cannot be read: {problem}") from None
