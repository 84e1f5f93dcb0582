"""Datums, the messages that hold a sample in a record of a database: a source of them, and more.

`pixels` and `from_pixels` turn one into an array and back; `write_database` stores a source.
"""

import logging
import os
import time

import numpy as np
from google.protobuf.message import DecodeError

from ..errors import DataError
from ..proto.caffe_pb2 import AnnotatedDatum, DataParameter, Datum
from .image import INDICES, decode, decoded_shape
from .leveldb import LevelDbSource
from .lmdb import LmdbSource, LmdbWriter
from .order import ORDERS, order
from .shards import open_records
from .source import Source
from .tar import TarSource
from .transform import refuse_mixing

log = logging.getLogger("caffelite")

DATABASES = {"lmdb": LmdbSource, "leveldb": LevelDbSource, "tar": TarSource}


class DatumSource(Source):
    """The Datums in a database; a sample is (pixels, label).

    Pixels are channels x height x width, uint8 or float32. `color` is how to decode encoded
    pictures: to 3 channels (True), to 1 (False), as they are stored (None), or INDICES. `database`
    opens the path, or each of those that it names (see `shards`): one of DATABASES. Samples come as
    records do, record n being record 0 again, those of several shards round the shards, or, as the
    options of `order` say, in another order in each pass, by the attribute `seed`; for those that
    go by labels, all records are read once. `shuffle_buffer` is how many samples `shuffle` mixes
    among each other, or 0 for all of a shard.
    """

    def __init__(self, path, color=None, database=LmdbSource, shuffle_buffer=0, **options):
        self.database, self.color = database, color
        self.records = open_records(path, database)
        sizes = getattr(self.records, "sizes", ())
        if shuffle_buffer and options.get("shuffle") and not sizes:
            sizes = [len(self.records)]
        self.order = order(self.labels, path, sizes=sizes, buffer=shuffle_buffer, **options)
        self.records.in_turn = self.order.in_turn

    @classmethod
    def of_layer(cls, param):
        """What a Data layer of this LayerParameter reads."""
        transform, options = param.transform_param, param.data_param
        color = transform.force_color if transform.force_color or transform.force_gray else None
        if transform.palette_indices:
            refuse_mixing(transform)
            color = INDICES
        database = DATABASES[DataParameter.DB.Name(options.backend).lower()]
        orders = {name: getattr(options, name) for name in ORDERS}
        return cls(options.source, color, database, options.shuffle_buffer, **orders)

    def __len__(self):
        return self.order.pass_size(len(self.records))

    def drawn_for(self):
        return None if self.order.in_turn else len(self.records)

    def layout(self):
        return self.order.layout()

    def sample(self, number):
        """(pixels, label) of sample `number`."""
        return self.stored(self.record(number))

    def stored(self, record):
        """(pixels, label) of record `record` modulo the length."""
        datum = self.datum(record)
        with self.records.named(record):
            return pixels(datum, self.color), datum.label

    def shape(self, number):
        """The shape of its pixels; of an encoded picture only the head is read."""
        record = self.record(number)
        datum = self.datum(record)
        with self.records.named(record):
            return shape_of(datum, self.color)

    def label(self, number):
        return self.datum(self.record(number)).label

    def datum(self, record):
        """The message in record `record` modulo the length."""
        value = self.records.sample(record)[1]
        try:
            datum = Datum.FromString(value)
        except DecodeError:
            raise self._no_datum(record, "is not a Datum, or a damaged one") from None
        if not (datum.data or datum.float_data) and is_annotated(value):
            raise self._no_datum(
                record,
                'is an AnnotatedDatum, which has boxes; in a net, write type: "AnnotatedData"',
            )
        return datum

    def _no_datum(self, record, words):
        return DataError(f"{self.records.name(record)}: {words}")

    def name(self, number):
        return self.records.name(self.record(number))

    def record(self, number):
        """The number of the record that a sample is in."""
        # To count the records may take a pass through the database.
        if self.order.in_turn:
            return number
        return self.order.index(number, len(self.records), self.seed)

    def labels(self):
        """Those of all records."""
        begun = time.monotonic()
        labels = [self.datum(record).label for record in range(len(self.records))]
        took = time.monotonic() - begun
        log.info(
            "Read the labels of %d records of %s in %.1f s", len(labels), self.records.path, took
        )
        return labels

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


def shape_of(datum, color=None):
    """The shape of a Datum's pixels; of an encoded picture only the head is read."""
    return decoded_shape(datum.data, color) if datum.encoded else pixels(datum).shape


def is_annotated(value):
    """Whether the bytes of a record are an AnnotatedDatum."""
    try:
        return AnnotatedDatum.FromString(value).HasField("datum")
    except DecodeError:
        return False


def write_database(path, source, progress=iter):
    """Make an LMDB of a pass of a source, as Caffe's convert_mnist_data does.

    Keys are running numbers of 8 digits; values are Datums, or what the source's `message` makes.
    A database that holds these very records already is left as it is. `progress` wraps the
    iteration.
    """
    if os.path.lexists(path):
        if not _holds(path, records_of(source), len(source)):
            raise DataError(f"{path}: exists already, with other content; remove it first")
        return
    with LmdbWriter(path) as database:
        for key, value in progress(records_of(source)):
            database.put(key, value)


def records_of(source):
    """Yield the (key, value) of each sample in a pass of a source; see `write_database`."""
    message = getattr(source, "message", lambda number: from_pixels(*source.sample(number)))
    for number in range(len(source)):
        yield b"%08d" % number, message(number).SerializeToString()


def _holds(path, records, count):
    try:
        source = LmdbSource(path)
    except DataError:
        return False
    same = len(source) == count and all(source.sample(i) == r for i, r in enumerate(records))
    source.close()
    return same


def from_pixels(values, label):
    """The Datum of a uint8 array, channels x height x width, and its label."""
    channels, height, width = values.shape
    return Datum(
        channels=channels, height=height, width=width, data=values.tobytes(), label=int(label)
    )
