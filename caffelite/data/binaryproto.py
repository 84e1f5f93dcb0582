""".binaryproto files: one array as a serialized BlobProto, such as the mean of a data set."""

import math

import numpy as np
from google.protobuf.message import DecodeError

from ..atomic import write_atomically
from ..errors import DataError
from ..proto.caffe_pb2 import BlobProto
from ..reading import opened


def read(path):
    """The array in a .binaryproto file, in its own shape; legacy files give N, C, H, W."""
    try:
        with opened(path, "rb") as file:
            blob = BlobProto.FromString(file.read())
    except DecodeError:
        raise DataError(f"{path}: is not a .binaryproto (a BlobProto), or damaged") from None
    shape = (blob.num, blob.channels, blob.height, blob.width)
    if blob.HasField("shape"):
        shape = tuple(blob.shape.dim)
    values = blob.double_data or blob.data
    if math.prod(shape) != len(values) or min(shape, default=0) < 0 or not values:
        raise DataError(
            f"{path}: declares the shape {shape}, {math.prod(shape)} values, "
            f"but holds {len(values)}"
        )
    return np.array(values, np.float64 if blob.double_data else np.float32).reshape(shape)


def write(path, array):
    """Make a .binaryproto of an array with 4 axes, in the legacy form that Caffe's tools write."""
    num, channels, height, width = array.shape
    blob = BlobProto(num=num, channels=channels, height=height, width=width, data=array.ravel())
    write_atomically(path, blob.SerializeToString())
