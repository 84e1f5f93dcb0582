"""The values of a BlobProto, wherever it keeps them: the one reader of weights, means and states.

Caffe writes them as floats or doubles. NVCaffe has a field of bytes for them, and one for their
type. Old files give four axes instead of a shape.
"""

from dataclasses import dataclass

import numpy as np
from google.protobuf.message import DecodeError

from .. import reading
from ..errors import ProtoError, short
from . import caffe_pb2, wire


@dataclass
class BlobValues:
    """What a BlobProto says: its shape, and its values, views of the buffer where that can be."""

    shape: tuple
    legacy: bool  # shape came as num, channels, height, width
    data: np.ndarray
    diff: np.ndarray
    place: int | None = None  # where in the buffer the values are, if in one piece

    def array(self, diff=False):
        """A copy of the values, or of the diffs, in the blob's shape."""
        values = self.diff if diff else self.data
        shape = reading.shape(self.shape, values.size)
        if shape is None:
            declared = short(str(self.shape[: reading.MOST_AXES + 1]), 200)
            raise ProtoError(f"holds {values.size} values, which is not its shape, {declared}")
        return np.array(values, values.dtype.newbyteorder("=")).reshape(shape)


def of_message(blob):
    """The BlobValues of a BlobProto."""
    content = blob.SerializeToString()
    return read(content, (0, len(content)))


def of_bytes(content):
    """The BlobValues of a BlobProto as bytes, checked to be one."""
    try:
        caffe_pb2.BlobProto.FromString(content)
    except DecodeError:
        raise ProtoError("is no BlobProto, or a damaged one") from None
    return read(content, (0, len(content)))


def read(buffer, span):
    """The BlobValues of the BlobProto that the bytes `span` of a buffer are.

    Which fields go first is as in Caffe and NVCaffe: doubles, floats, bytes; the old shape.
    """
    parts = {number: [] for number in (*_FLOATS, *_DOUBLES, *_RAW)}
    legacy, shape, raw_types = {}, None, {}
    for number, kind, value in wire.fields(buffer, *span):
        if number in parts and kind != wire.VARINT:
            parts[number].append((kind, value))
        elif number in (1, 2, 3, 4) and kind == wire.VARINT:
            legacy[number] = value
        elif number in _RAW_TYPES and kind == wire.VARINT:
            raw_types[number] = value
        elif number == 7 and kind == wire.LENGTH:
            shape = tuple(caffe_pb2.BlobShape.FromString(buffer[value[0] : value[1]]).dim)
    if legacy:
        shape = tuple(legacy.get(number, 0) for number in (1, 2, 3, 4))
    (data, runs), (diff, _) = (
        _values(buffer, *(parts[numbers[at]] for numbers in (_DOUBLES, _FLOATS, _RAW)),
                raw_types.get(_RAW_TYPES[at], _Type.DOUBLE))
        for at in (0, 1)
    )  # fmt: skip
    place = runs[0][1][0] if len(runs) == 1 and data.size else None
    return BlobValues(shape or (), bool(legacy), data, diff, place)


# The fields of data and of diff.
_FLOATS, _DOUBLES, _RAW_TYPES, _RAW = (5, 6), (8, 9), (10, 11), (12, 13)

_Type = caffe_pb2.Type
_DTYPES = {_Type.DOUBLE: "<f8", _Type.FLOAT: "<f4", _Type.FLOAT16: "<f2"}


def _values(buffer, doubles, floats, raw, raw_type):
    """The values in one of these fields, and its runs."""
    for runs, dtype in ((doubles, "<f8"), (floats, "<f4")):
        values = wire.numbers(buffer, runs, dtype)
        if values.size:
            return values, runs
    last = raw[-1:]
    if not last:
        return np.empty(0, "<f4"), []
    if raw_type not in _DTYPES:
        name = _Type.Name(raw_type) if raw_type in _Type.values() else raw_type
        raise ProtoError(
            f"values of type {name}, expected one of {', '.join(map(_Type.Name, _DTYPES))}; save "
            "it again by NVCaffe with store_blobs_in_old_format: true in its solver"
        )
    values = wire.numbers(buffer, last, _DTYPES[raw_type])
    if raw_type == _Type.FLOAT16:
        return values.astype("<f4"), []  # nobody computes with halves
    return values, last
