"""Arrays that grow by rows, into a database, an HDF5 file or a .npz file.

Each writer is a context manager, made with the path of a new file and the array's name.
"""

import io
from contextlib import contextmanager
from functools import partial

import numpy as np

from ..atomic import write_atomically
from ..proto.caffe_pb2 import Datum
from .hdf5 import write_file
from .leveldb import new_leveldb
from .lmdb import LmdbWriter


class _DatumRows:
    """A Datum with floats for each row of up to 3 axes; keys are running numbers of 10 digits."""

    def __init__(self, database):
        self.database, self.count = database, 0

    def write(self, rows):
        for row in rows:
            channels, height, width = (*row.shape, 1, 1, 1)[:3]
            datum = Datum(channels=channels, height=height, width=width, float_data=row.ravel())
            self.database.put(b"%010d" % self.count, datum.SerializeToString())
            self.count += 1


@contextmanager
def _database(new, path, name):
    with new(path) as database:
        yield _DatumRows(database)


class _FileOfRows:
    """A file with one array, which is in memory until its end is known."""

    def __init__(self, path, name):
        self.path, self.name, self.parts = path, name, []

    def __enter__(self):
        return self

    def write(self, rows):
        self.parts.append(rows.copy())

    def __exit__(self, kind, problem, trace):
        if kind is None:
            self.save(np.concatenate(self.parts))


class _Hdf5Rows(_FileOfRows):
    """The dataset `name` of an HDF5 file."""

    def save(self, array):
        write_file(self.path, lambda file: file.create_dataset(self.name, data=array))


class _NpzRows(_FileOfRows):
    """The array `name` of a .npz file."""

    def save(self, array):
        file = io.BytesIO()
        np.savez(file, **{self.name: array})
        write_atomically(self.path, file.getbuffer())


DATABASES = {"lmdb": partial(_database, LmdbWriter), "leveldb": partial(_database, new_leveldb)}
KINDS = DATABASES | {"hdf5": _Hdf5Rows, "npz": _NpzRows}
