import atexit
import contextlib
import logging
import os
import sys
import weakref

from ...atomic import is_passing, make_passing, passing_start, take_place
from ...data import hdf5
from ...errors import DataError
from ...lock import HeldElsewhere, locked
from ..base import Layer, register

log = logging.getLogger("caffelite")

NAMES = "data", "label"


@register("HDF5Output")
class HDF5Output(Layer):
    """Writes its bottoms to an HDF5 file, batch behind batch; needs the extra [hdf5].

    The file is there whole or not at all: rows gather beside it, under a passing name, and take its
    place when the net is closed or forgotten, or the program ends without an error. Nothing is
    touched before the first forward, nor by the commands that only look, as summary and time do.

    Bottom
        0: what becomes the dataset "data", up to 4 axes
        1: what becomes the dataset "label", up to 4 axes, with as many samples
    Options (hdf5_output_param)
        file_name: the file, from where the program runs; an old one is replaced
    """

    options_field = "hdf5_output_param"
    role = "sink"
    drawn_as = "data"
    bottoms = 2
    tops = 0
    no_gradient = (0, 1)
    rows = None

    def setup(self, bottom_shapes):
        if not self.options.file_name:
            raise self.error("file_name is missing")
        if os.path.isdir(self.options.file_name):
            raise self._cannot_write("it is a directory")

    def infer_shapes(self, bottom_shapes):
        data, label = bottom_shapes
        for index, shape in enumerate(bottom_shapes):
            if not 1 <= len(shape) <= 4:
                raise self.shape_error(index, shape, "1 to 4 axes")
        if data[0] != label[0]:
            raise self.shape_error(1, label, f"{data[0]} samples, as bottom[0] has")
        return []

    def forward(self, bottom, top):
        if not self.writes:
            return
        try:
            if self.rows is None:
                self.rows = _Rows(self.options.file_name, self.at)
                self._forgotten = weakref.finalize(self, self.rows.finish)
                self._forgotten.atexit = False  # _finish_all knows whether all went well
            self.rows.append([_with_4_axes(blob.data) for blob in bottom])
        except _Problem as problem:
            raise self._cannot_write(problem) from problem.__cause__

    def backward(self, top, propagate_down, bottom):
        """Nothing to do: there is no gradient."""

    def close(self):
        self._end(_Rows.finish)

    def discard(self):
        self._end(_Rows.discard)

    def _end(self, how):
        rows, self.rows = self.rows, None
        if rows is not None:
            self._forgotten.detach()
            how(rows)

    def _cannot_write(self, why):
        return self.error(f'cannot write "{self.options.file_name}": {why}', DataError)


def _with_4_axes(values):
    return values.reshape(values.shape + (1,) * (4 - values.ndim))


class _Problem(Exception):
    """Why the file cannot be written."""


class _Rows:
    """The rows of a file that is not in its place yet. It must not refer to the layer."""

    in_work: dict[str, "_Rows"] = {}  # {a file's real path: its _Rows}
    begun = False

    def __init__(self, path, writer):
        self.path, self.target, self.writer = path, os.path.realpath(path), writer
        self.process, self.h5py = os.getpid(), hdf5.package()
        other = self.in_work.get(self.target)
        if other is not None:
            raise _Problem(
                f"{other.writer} is writing it; give each a file of its own, or, where it is the "
                "same layer of a net for training and of one for tests, include { phase: TEST }"
            )
        folder, name = os.path.split(self.target)
        self.lock = contextlib.ExitStack()
        try:
            self.lock.enter_context(locked(os.path.join(folder, f"{passing_start(name)}lock")))
            _clear_leftovers(folder, name)
            self.passing = make_passing(self.target)
        except HeldElsewhere as problem:
            raise _Problem(f"another process writes it, {problem}") from problem
        except OSError as problem:
            self.lock.close()
            raise _Problem(problem.strerror) from problem
        self.in_work[self.target] = self

    def append(self, arrays):
        """Add an array of rows to each of the datasets, or to none of them."""
        if self.process != os.getpid():
            raise _Problem(
                "the process that this one was forked from is writing it; build the net here"
            )
        if self.in_work.get(self.target) is not self:
            raise _Problem("an earlier batch could not be written; build the net anew")
        try:
            with self.h5py.File(self.passing, "a" if self.begun else "w") as file:
                self.begun = True
                for name, values in zip(NAMES, arrays, strict=True):
                    self._check(file, name, values)
                for name, values in zip(NAMES, arrays, strict=True):
                    _append(file, name, values)
        except (OSError, RuntimeError, ValueError) as problem:  # of h5py
            self.discard()
            raise _Problem(problem) from problem

    def _check(self, file, name, values):
        if name in file and file[name].shape[1:] != values.shape[1:]:
            raise _Problem(
                f'the dataset "{name}" holds samples of shape {file[name].shape[1:]}, this batch '
                f"has {values.shape[1:]}"
            )

    def finish(self):
        """Put the file in its place."""
        if self._leave_work():
            with self.lock:
                try:
                    take_place(self.passing, self.target)
                except OSError as problem:
                    raise DataError(
                        f'{self.writer}: cannot write "{self.path}": {problem.strerror}; what it '
                        f"was to hold is in {self.passing}"
                    ) from problem

    def discard(self):
        """Remove what was written."""
        if self._leave_work():
            with self.lock, contextlib.suppress(OSError):
                os.unlink(self.passing)

    def _leave_work(self):
        """Whether these rows were still to be ended, and by this process."""
        mine = self.process == os.getpid() and self.in_work.get(self.target) is self
        if mine:
            del self.in_work[self.target]
        return mine


def _clear_leftovers(folder, name):
    """Remove what killed processes left of a file whose lock is held."""
    for entry in os.listdir(folder):
        if is_passing(entry, name):
            os.unlink(os.path.join(folder, entry))


def _append(file, name, values):
    if name not in file:
        file.create_dataset(name, data=values, maxshape=(None, *values.shape[1:]))
        return
    rows = file[name]
    start = len(rows)
    rows.resize(start + len(values), axis=0)
    rows[start:] = values


@atexit.register
def _finish_all():
    """End what is still open: with the file in its place, unless an error ends the program."""
    failed = getattr(sys, "last_value", None) is not None and not hasattr(sys, "ps1")
    for rows in list(_Rows.in_work.values()):
        try:
            (rows.discard if failed else rows.finish)()
        except (DataError, OSError) as problem:
            log.error("%s", problem)
