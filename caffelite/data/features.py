"""Arrays that grow by rows, into a database, or together into an HDF5 file or a .npz file.

Each writer is a context manager, made with the path of a new file and the names of its arrays;
`write(name, rows)` adds rows to one of them. A database holds one array.
"""

import io
import zipfile
from contextlib import contextmanager
from functools import partial

import numpy as np

from ..atomic import write_atomically
from ..errors import DataError
from ..proto.caffe_pb2 import Datum
from .hdf5 import write_file
from .leveldb import new_leveldb
from .lmdb import LmdbWriter


class _DatumRows:
    """A Datum with floats for each row of up to 3 axes; keys are running numbers of 10 digits."""

    def __init__(self, database):
        self.database, self.count = database, 0

    def write(self, name, rows):
        for row in rows:
            channels, height, width = (*row.shape, 1, 1, 1)[:3]
            datum = Datum(channels=channels, height=height, width=width, float_data=row.ravel())
            self.database.put(b"%010d" % self.count, datum.SerializeToString())
            self.count += 1


@contextmanager
def _database(new, path, names):
    with new(path) as database:
        yield _DatumRows(database)


class _FileOfRows:
    """A file with arrays, which are in memory until their end is known."""

    def __init__(self, path, names):
        self.path, self.parts = path, {name: [] for name in names}

    def __enter__(self):
        return self

    def write(self, name, rows):
        self.parts[name].append(rows.copy())

    def __exit__(self, kind, problem, trace):
        if kind is None:
            self.save({name: np.concatenate(parts) for name, parts in self.parts.items()})


class _Hdf5Rows(_FileOfRows):
    """The datasets of an HDF5 file; that it can hold their names is tried before rows come."""

    def __enter__(self):
        self.save(dict.fromkeys(self.parts, np.empty(0)))
        return self

    def save(self, arrays):
        write_file(self.path, lambda file: self._fill(file, arrays))

    def _fill(self, file, arrays):
        for name, array in arrays.items():
            try:
                held = file.create_dataset(name, data=array).name == f"/{name}"
            except (TypeError, ValueError):  # a group or a dataset has the name already
                held = False
            if not held:
                raise DataError(
                    f'{self.path}: HDF5 cannot hold the name "{name}" among '
                    f"{', '.join(arrays)}: what stands before a slash is a group there; "
                    "make files of one blob, or npz"
                )


class _NpzRows(_FileOfRows):
    """The arrays of a .npz file."""

    def save(self, arrays):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as members:
            for name, array in arrays.items():
                with members.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
        write_atomically(self.path, file.getbuffer())


DATABASES = {"lmdb": partial(_database, LmdbWriter), "leveldb": partial(_database, new_leveldb)}
KINDS = DATABASES | {"hdf5": _Hdf5Rows, "npz": _NpzRows}
