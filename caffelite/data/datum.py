"""Datum: one sample, as the records of a database hold it."""

from contextlib import contextmanager

import numpy as np
from google.protobuf.message import DecodeError

from ..errors import DataError
from ..proto.caffe_pb2 import DataParameter, Datum
from .image import decode, decoded_shape
from .leveldb import LevelDbSource
from .lmdb import LmdbSource
from .order import Order

DATABASES = {"lmdb": LmdbSource, "leveldb": LevelDbSource}


class DatumSource:
    """(pixels, label) of the k-th sample of a database of Datums, counted through all passes.

    Pixels are channels x height x width, uint8 or float32. `color` is how to decode encoded
    pictures: to 3 channels (True), to 1 (False) or as they are stored (None). `database` opens
    the path: one of DATABASES. Samples come as records do, record n being record 0 again, or, with
    `shuffle`, in another order in each pass, by the attribute `seed`.
    """

    def __init__(self, path, color=None, database=LmdbSource, shuffle=False):
        self.records = database(path)
        self.records.in_turn = not shuffle
        self.color = color
        self.order, self.seed = Order(shuffle), 0

    @classmethod
    def of_layer(cls, param):
        """What a Data layer of this LayerParameter reads."""
        transform, options = param.transform_param, param.data_param
        color = transform.force_color if transform.force_color or transform.force_gray else None
        backend = DataParameter.DB.Name(options.backend).lower()
        return cls(options.source, color, DATABASES[backend], options.shuffle)

    def __len__(self):
        return len(self.records)

    def read(self, index):
        """(pixels, label) of sample `index`."""
        number = self._number(index)
        datum = self.datum(number)
        with self._naming(number):
            return pixels(datum, self.color), datum.label

    def shape(self, index):
        """The shape of its pixels; of an encoded picture only the head is read."""
        number = self._number(index)
        datum = self.datum(number)
        with self._naming(number):
            return decoded_shape(datum.data, self.color) if datum.encoded else pixels(datum).shape

    @contextmanager
    def _naming(self, number):
        try:
            yield
        except DataError as problem:
            raise DataError(f"{self.record_name(number)}: {problem}") from None

    def datum(self, number):
        """The message of record `number` modulo the length."""
        try:
            return Datum.FromString(self.records.record(number)[1])
        except DecodeError:
            raise DataError(
                f"{self.record_name(number)}: is not a Datum, or a damaged one"
            ) from None

    def name(self, index):
        """How messages name the record of a sample."""
        return self.record_name(self._number(index))

    def _number(self, index):
        # To count the records may take a pass through the database.
        shuffled = self.order.shuffle
        return self.order.place(index, len(self), self.seed) if shuffled else index

    def record_name(self, number):
        """How messages name record `number`."""
        key = self.records.record(number)[0].decode("utf-8", "backslashreplace")
        return f'{self.records.path}: record {self.records.at} (key "{key}")'

    def close(self):
        self.records.close()


def pixels(datum, color=None):
    """The array in a Datum, channels x height x width: uint8 data if there are any, else float."""
    if datum.encoded:
        return decode(datum.data, color)
    shape = (datum.channels, datum.height, datum.width)
    values = np.frombuffer(datum.data, np.uint8) if datum.data else datum.float_data
    count = shape[0] * shape[1] * shape[2]
    if min(shape) < 1 or count != len(values):
        kind = "bytes of data" if datum.data else "values of float_data"
        raise DataError(
            f"channels x height x width is {shape[0]} x {shape[1]} x {shape[2]} = {count}, "
            f"but there are {len(values)} {kind}"
        )
    return np.asarray(values, np.uint8 if datum.data else np.float32).reshape(shape)


def from_pixels(values, label):
    """The Datum of a uint8 array, channels x height x width, and its label."""
    channels, height, width = values.shape
    return Datum(
        channels=channels, height=height, width=width, data=values.tobytes(), label=int(label)
    )
