""".binaryproto files: one array as a serialized BlobProto, such as the mean of a data set."""

import math

import numpy as np
from google.protobuf.message import DecodeError

from .. import reading
from ..atomic import write_atomically
from ..errors import DataError
from ..proto.caffe_pb2 import BlobProto


def read(path):
    """The array in a .binaryproto file, in its own shape; legacy files give N, C, H, W."""
    try:
        blob = BlobProto.FromString(reading.data(path))
    except DecodeError:
        raise DataError(f"{path}: is not a .binaryproto (a BlobProto), or damaged") from None
    dims = (blob.num, blob.channels, blob.height, blob.width)
    dims = blob.shape.dim if blob.HasField("shape") else dims
    values = blob.double_data or blob.data
    shape = reading.shape(dims, len(values))
    if shape is None or not values:
        dims = tuple(dims[: reading.MOST_AXES + 1])
        raise DataError(
            f"{path}: declares the shape {dims}, {math.prod(dims)} values, but holds {len(values)}"
        )
    return np.array(values, np.float64 if blob.double_data else np.float32).reshape(shape)


def write(path, array):
    """Make a .binaryproto of an array with 4 axes, in the legacy form that Caffe's tools write."""
    num, channels, height, width = array.shape
    blob = BlobProto(num=num, channels=channels, height=height, width=width, data=array.ravel())
    write_atomically(path, blob.SerializeToString())
