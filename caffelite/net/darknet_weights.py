"""Darknet's .weights: a short head, then the numbers of one blob after the other, nothing else.

What they are of is told by the .cfg alone, so that every number too few or too many is an error.
"""

import os

import numpy as np

from .. import file_kind
from ..errors import WeightsError
from ..proto.darknet.maker import DarknetNet
from . import weights_file

WANTED = "weights of Darknet (.weights)"
OF_SEEN_64 = 2  # major * 10 + minor from which on the count of pictures has 8 bytes
TRANSPOSING = 1000  # versions above it have the weights of dense layers transposed


def read(path, model, partial=False):
    """{layer name: {index of the blob: array}} of a .weights, by the .cfg `model`.

    If it is `partial`, the file may end behind any layer, as those do that training starts from.
    """
    path = os.fspath(path)
    net = DarknetNet(os.fspath(model))
    values, transposed = _values(path)
    layers, place, last = {}, 0, None
    for stored in net.stored:
        if stored.always is not None:
            array = np.full(stored.shape, stored.always, np.float32)
        else:
            count = int(np.prod(stored.shape))
            if place + count > values.size:
                return _ended(path, net, layers, values.size, place, stored, last, partial)
            array = values[place : place + count].reshape(stored.shape)
            place, last = place + count, stored.section
        layers.setdefault(stored.layer, {})[stored.index] = _turned(stored, array, transposed)
    if place < values.size:
        raise WeightsError(
            f"{path}: has {values.size:,} numbers, and {net.path} takes {place:,}: it is of "
            "another .cfg"
        )
    return layers


def _ended(path, net, layers, size, place, stored, last, partial):
    """The layers of a file that ends before this blob; an error if that is not meant."""
    whole = place == size and stored.section is not last and place > 0
    if whole and partial:
        of_section = {s.layer for s in net.stored if s.section is stored.section}
        return {name: blobs for name, blobs in layers.items() if name not in of_section}
    wanted = sum(int(np.prod(s.shape)) for s in net.stored if s.always is None)
    words = f"{path}: has {size:,} numbers, and {net.path} takes {wanted:,}: "
    if whole:
        raise WeightsError(
            f"{words}it ends behind layer {last.index}; if it is meant to, as a start for training "
            "may be, give --partial"
        )
    raise WeightsError(
        f"{words}it ends within layer {stored.section.index} [{stored.section.name}] of line "
        f"{stored.section.line}: it was cut off, or is of another .cfg"
    )


def _values(path):
    """(the numbers behind the head, whether dense layers are transposed)."""
    with weights_file.opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size < 16:
            raise WeightsError(f"{path}: of {size} bytes, expected a head of 16 or 20: damaged")
        major, minor, _ = map(int, np.frombuffer(file.read(12), "<i4"))
        if not (0 <= major <= 2 * TRANSPOSING and 0 <= minor <= 2 * TRANSPOSING):
            otherwise = f"is of version {major}.{minor}, which Darknet never had: damaged"
            raise file_kind.mistake(path, WANTED, WeightsError, otherwise)
        new = major * 10 + minor >= OF_SEEN_64 and max(major, minor) < TRANSPOSING
        file.read(8 if new else 4)
        rest = file.read()
    if len(rest) % 4:
        raise WeightsError(
            f"{path}: its numbers have 4 bytes each, and {len(rest) % 4} are left over: damaged, "
            f"or its version, {major}.{minor}, is not the one it was written by"
        )
    return np.frombuffer(rest, "<f4"), max(major, minor) > TRANSPOSING


def _turned(stored, array, transposed):
    """A blob as Caffe has it."""
    rows = stored.rows
    if transposed and len(stored.shape) == 2:
        rows = stored.shape[1]
    return array.reshape(rows, -1).T.reshape(stored.shape).copy() if rows else array.copy()
