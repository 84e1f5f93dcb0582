""".binaryproto files: one array as a serialized BlobProto, such as the mean of a data set."""

from .. import file_kind, reading
from ..atomic import write_atomically
from ..errors import DataError, ProtoError
from ..proto import blob_values
from ..proto.caffe_pb2 import BlobProto


def read(path):
    """The array in a .binaryproto file, in its own shape; legacy files give N, C, H, W."""
    try:
        blob = blob_values.of_bytes(reading.data(path))
        if not blob.data.size:
            raise ProtoError(f"holds no values; expected those of its shape, {blob.shape}")
        return blob.array()
    except ProtoError as problem:
        wanted = "one array (a .binaryproto)"
        raise file_kind.mistake(path, wanted, DataError, str(problem), ("binaryproto",)) from None


def write(path, array):
    """Make a .binaryproto of an array with 4 axes, in the legacy form that Caffe's tools write."""
    num, channels, height, width = array.shape
    blob = BlobProto(num=num, channels=channels, height=height, width=width, data=array.ravel())
    write_atomically(path, blob.SerializeToString())
