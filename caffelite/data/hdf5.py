"""HDF5 files, read with distrust and written whole; rows of those that a text file lists."""

import bisect
import contextlib
import itertools
import math
import os

import numpy as np

from .. import file_kind, rng
from ..atomic import write_atomically
from ..errors import CaffeliteError, DataError, missing_extra
from ..kept_bytes import path_of, way_out
from ..reading import lines
from ._hdf5_trial import SMALL, Trial, made_up
from .made import way_to
from .source import RowSource

_trial = Trial()


class Hdf5Source(RowSource):
    """The rows of HDF5 files that a text file lists; a sample is a list, a row of each dataset.

    With `shuffle`, each pass takes the files in another order, and the rows of each file in
    another order; the orders depend on the `seed` and the pass alone. One file at a time is held
    in memory.

    Parameters
    ----------
    list_path
        text file with the names of HDF5 files, separated by white space
    names
        the datasets to read; all have as many rows (axis 0)
    dtype
        what integers and floats become
    """

    def __init__(self, list_path, names, dtype=np.float32, shuffle=False):
        self.names, self.dtype, self.shuffle = names, dtype, shuffle
        self.files = read_list(list_path)
        self.row_shapes = None
        self._rows = [self._inspect(path) for path in self.files]
        self._pass = self._file = None  # what is loaded

    def drawn_for(self):
        return len(self) if self.shuffle else None

    def __len__(self):
        return sum(self._rows)

    def rows(self, numbers):
        """The rows with these numbers, a range, as one array for each dataset."""
        count = len(numbers)
        out = [np.empty((count, *shape), self.dtype) for shape in self.row_shapes]
        done = 0
        while done < count:
            first = self._turn_to(numbers[done])
            rows = self._row_order[first :: numbers.step][: count - done]
            for target, array in zip(out, self._arrays, strict=True):
                np.take(array, rows, 0, out=target[done : done + len(rows)], mode="clip")
            done += len(rows)
        return out

    def name(self, number):
        place = self._turn_to(number)
        return f"{self.files[self._file]}: row {self._row_order[place]}"

    def close(self):
        self._arrays = self._file = None

    def _turn_to(self, number):
        """Load the file that row `number` lies in; its place in that file's order of rows."""
        number_of_pass, first = divmod(number, len(self))
        this_pass = self.seed, number_of_pass
        if self._pass != this_pass:
            self._file_order = self._shuffled(len(self.files), 2, number_of_pass)
            self._starts = [0, *itertools.accumulate(self._rows[i] for i in self._file_order)]
        place = bisect.bisect_right(self._starts, first) - 1
        file = int(self._file_order[place])
        if self._file != file:
            self._arrays = self._file = None  # free the last file before the next one comes
            self._arrays = self._load(file)
        if (self._pass, self._file) != (this_pass, file):
            self._row_order = self._shuffled(self._rows[file], 3, number_of_pass, file)
            self._pass, self._file = this_pass, file
        return first - self._starts[place]

    def _shuffled(self, count, *key):
        order = np.arange(count)
        if self.shuffle:
            rng.generator(self.seed, *key).shuffle(order)
        return order

    def _inspect(self, path):
        """The number of rows of a file, after checking everything that can be wrong with it."""
        with open_file(path, values=False) as file:
            datasets = [dataset(file, name) for name in self.names]
            rows = {data.shape[0] for data in datasets}
            if len(rows) != 1:
                each = ", ".join(
                    f'"{name}" {data.shape[0]}'
                    for name, data in zip(self.names, datasets, strict=True)
                )
                raise DataError(f"{path}: the datasets differ in their number of rows: {each}")
            if rows == {0}:
                raise DataError(f"{path}: has no rows")
            shapes = [data.shape[1:] for data in datasets]
        if self.row_shapes is None:
            self.row_shapes = shapes
        for name, shape, expected in zip(self.names, shapes, self.row_shapes, strict=True):
            if shape != expected:
                raise DataError(
                    f'{path}: rows of "{name}" have the shape {shape}, expected {expected} '
                    f"as in {self.files[0]}"
                )
        return rows.pop()

    def _load(self, number):
        """The datasets of a file, which have to be as they were when the source was opened."""
        path, arrays = self.files[number], []
        with open_file(path) as file:
            for name, row_shape in zip(self.names, self.row_shapes, strict=True):
                data = dataset(file, name)
                if data.shape != (self._rows[number], *row_shape):
                    raise DataError(
                        f'{path}: "{name}" has the shape {data.shape} now, and had '
                        f"{(self._rows[number], *row_shape)} when it was opened: it was written "
                        "while it was read"
                    )
                arrays.append(np.empty(data.shape, self.dtype))
                if data.size:
                    data.read_direct(arrays[-1])
        return arrays


def read_list(path):
    """The file names in a list file."""
    try:
        text = list(lines(path, "a list of HDF5 file names"))
    except DataError as problem:
        raise DataError(f"{problem}{'' if os.path.exists(path) else way_to(path)}") from None
    names = [name for line in text for name in line.split()]
    if not names:
        raise DataError(f"{path}: lists no HDF5 files")
    return names


@contextlib.contextmanager
def open_file(path, values=True):
    """An HDF5 file, open for reading; damage that shows only while it is read is named, too.

    Another process reads it first; without `values`, only what the file holds, not its values.
    """
    h5py, path = package(), path_of(path)
    if not os.path.exists(path):
        raise DataError(f"{path}: no such file (looked for from {os.getcwd()}){way_out(path)}")
    file_kind.check(path, "an HDF5 file", DataError, ("HDF5", "Keras", "solverstate.h5"))
    failure = _trial.failure(path, values)
    if failure is not None:
        raise DataError(f"{path}: cannot be read as HDF5: {failure}")
    with named_in_errors(path), h5py.File(path, "r") as file:
        yield file


@contextlib.contextmanager
def named_in_errors(path):
    """Let what h5py raises on reading a damaged file be a DataError that names it."""
    try:
        yield
    except CaffeliteError:
        raise
    except (OSError, RuntimeError, LookupError, ValueError, TypeError) as problem:
        raise DataError(f"{path}: cannot be read as HDF5: {problem}") from problem


def write_file(path, fill):
    """Let `fill(file)` make an HDF5 file, and put it on disk in one step."""
    write_atomically(path, image(fill))


def image(fill):
    """Yield the bytes of the HDF5 file that `fill(file)` makes, in memory."""
    with package().File("image", "w", driver="core", backing_store=False) as file:
        fill(file)
        file.flush()
        content = file.id.get_file_image()
    yield content


def pieces(data):
    """The values of a dataset in C order, in arrays of about a megabyte.

    Chunks lie whole in one of them, so that none is unpacked twice; so they may be larger.
    """
    if not data.shape or not data.size:
        yield data[()]
        return
    row = data.dtype.itemsize * math.prod(data.shape[1:])
    step = max(1, (1 << 20) // row)
    if data.chunks:
        step = -(-step // data.chunks[0]) * data.chunks[0]
    for start in range(0, data.shape[0], step):
        yield data[start : start + step]


def package():
    """h5py, or an error that says where it comes from."""
    try:
        import h5py
    except ImportError:
        raise missing_extra("h5py", "hdf5") from None
    return h5py


def group(parent, name):
    """The group `name` of an open file or group, stored in this very file."""
    h5py = package()

    found = _stored_here(parent, name)
    if not isinstance(found, h5py.Group):
        raise DataError(f"{_at(parent, name)} is a dataset, expected a group")
    return found


def dataset(parent, name, least_axes=1):
    """The dataset `name` of an open file or group: numbers, stored in this very file."""
    h5py = package()

    at = _at(parent, name)
    data = _stored_here(parent, name)
    is_dataset = isinstance(data, h5py.Dataset)
    if not is_dataset or data.dtype.kind not in "iuf" or len(data.shape) < least_axes:
        kind = f"{data.dtype} {data.shape}" if is_dataset else "a group"
        hint = '; store it as array.astype("uint8") or "float32"' if kind[:4] == "bool" else ""
        raise DataError(
            f"{at} is {kind}, expected integers or floats with at least {least_axes} axes{hint}"
        )
    if data.external or data.is_virtual:
        raise DataError(f"{at} keeps its values in other files, which are not followed")
    if words := made_up(data):
        raise DataError(f"{at} {words}")
    return data


def text(parent, name):
    """The scalar string `name` of an open file or group, stored in this very file."""
    h5py = package()

    data = _stored_here(parent, name)
    if not isinstance(data, h5py.Dataset) or data.shape != () or data.dtype.kind not in "SO":
        raise DataError(f"{_at(parent, name)} is no string, expected one")
    if data.dtype.itemsize > SMALL:
        raise DataError(f"{_at(parent, name)} declares {data.dtype.itemsize} bytes")
    return os.fsdecode(data[()])


def put_text(parent, name, value):
    """Store a scalar string of fixed length with a null behind it, which readers in C go by."""
    h5py = package()

    raw = os.fsencode(value)
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(len(raw) + 1)
    parent.create_dataset(name, data=np.bytes_(raw), dtype=h5py.Datatype(kind))


def _at(parent, name):
    return f'{parent.file.filename}: "{parent.name.rstrip("/")}/{name}"'


def _stored_here(parent, name):
    """What has a name in an open file or group; slashes in it lead through groups."""
    h5py = package()

    found = parent
    for part in name.split("/"):
        link = found.get(part, getlink=True) if part and isinstance(found, h5py.Group) else None
        if link is None:
            held = ", ".join(parent) or "nothing"
            raise DataError(f"{_at(parent, name)} is missing; the file holds there: {held}")
        if not isinstance(link, h5py.HardLink):
            raise DataError(
                f"{_at(parent, name)} is a link to elsewhere, which is not followed; "
                "store it in the file"
            )
        found = found[part]
    return found
