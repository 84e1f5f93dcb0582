"""IDX files, in which MNIST is given away: one array of bytes in a file, packed or not."""

import gzip
import math
import os
import zlib

import numpy as np

from .. import file_kind, reading
from ..errors import DataError
from ._hdf5_trial import MOST_PACKED


def read_idx(folder, name, axes):
    """The uint8 array in an IDX file: magic 0 0 8 AXES, then a big-endian u32 for each axis."""
    path = _find(folder, name)
    packed = path.endswith(".gz")
    try:
        with reading.opened(path, "rb") as raw, gzip.open(raw) if packed else raw as file:
            header = file.read(4 + 4 * axes)
            shape = tuple(
                int.from_bytes(header[i : i + 4], "big") for i in range(4, 4 + 4 * axes, 4)
            )
            if header[:4] != bytes([0, 0, 8, axes]) or len(header) < 4 + 4 * axes:
                words = (
                    f"starts with {header.hex() or 'nothing'}, expected 000008{axes:02x} "
                    f"and 4 bytes for each of {axes} axes, as in an IDX file"
                )
                raise file_kind.mistake(path, "an IDX file", DataError, words, ("gzip",))
            count = math.prod(shape)
            most = os.path.getsize(path) * (MOST_PACKED if packed else 1)
            values = file.read(count + 1) if count <= most else b""
    except (OSError, EOFError, zlib.error) as problem:
        raise DataError(f"{path}: cannot be read: {problem}") from None
    if reading.shape(shape, len(values)) is None:
        more = "more" if len(values) > count else "fewer"
        raise DataError(f"{path}: holds {more} values than its header says, {shape}")
    return np.frombuffer(values, np.uint8).reshape(shape)


def _find(folder, name):
    names = [name, name.replace("-idx", ".idx")]
    names += [n + ".gz" for n in names]
    for candidate in names:
        path = os.path.join(folder, candidate)
        if os.path.isfile(path):
            return path
    raise DataError(f"{folder}: holds none of {', '.join(names)}")
