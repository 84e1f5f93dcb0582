"""Weights files as they are, whatever net they are for: .caffemodel and HDF5, read with distrust.

Both are opened, asked for what they hold, and checked, before anyone takes values out of them.
"""

import contextlib
import functools
import logging
import mmap
import os
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from google.protobuf.message import DecodeError

from .. import file_kind, reading
from ..data import hdf5
from ..errors import DataError, ProtoError, WeightsError
from ..kept_bytes import text_of
from ..proto import blob_values, caffe_pb2, wire
from ..proto.blob_values import BlobValues
from . import checksum

log = logging.getLogger("caffelite")

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
WANTED = "weights (a .caffemodel or HDF5)"
CHECKSUM = "caffelite_checksum"  # the attribute of an HDF5 file, which Caffe does not look at


def is_hdf5(path, error=WeightsError):
    """Whether a file of weights, or of a solver's state, is HDF5, by its first bytes."""
    with opened(path, error) as file:
        return file.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE


def opened(path, error=WeightsError):
    """A file of weights, or of a state, open; a pipe is none: they are read in several rounds."""
    what = "the weights" if error is WeightsError else "the solver state"
    return reading.opened(path, "rb", error, f"cannot read {what}", piped=False)


class _WeightsFile:
    """An open file. `checksum` is what it says of itself, None if it says nothing.

    A subclass gives `lines()`, what the checksum is of, and `close()`.
    """

    def check(self, tolerant=False):
        """Raise a WeightsError if the values are others than were saved; or warn, if `tolerant`."""
        if self.checksum is None or self.checksum == checksum.of_lines(self.lines()):
            return
        text = (
            f"{self.path}: its weights are others than were saved in it (the checksum differs): "
            "it is damaged, or was changed by a program that kept the checksum"
        )
        if not tolerant:
            raise WeightsError(
                f'{text}. If that is meant, "caffelite convert --unchecked {self.path} OUT" makes '
                "a file of it that loads"
            )
        log.warning("%s; it is taken as it is", text)

    def _mistake(self, otherwise, *takes):
        """The error for a file that is none of weights, or is damaged."""
        return file_kind.mistake(self.path, WANTED, WeightsError, otherwise, takes)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# .caffemodel


@dataclass
class SavedBlob(BlobValues):
    """One BlobProto of a file."""

    file: BinaryIO | None = None  # the one that they are in, while it is open

    @functools.cached_property
    def crc(self):
        """The CRC-32 of the values."""
        if not self._in_one_piece:
            return checksum.of_array(self.data)
        return checksum.of_bytes(self.file, self.place, self.data.nbytes)

    def copy_to(self, blob):
        """Give a blob these values.

        Reading the file anew, past the mapping, keeps a model of any size in memory once, not
        twice.
        """
        if self._in_one_piece and self.data.dtype == blob.dtype:
            self._read_into(blob.unfilled().reshape(-1))
        else:
            blob.assign(self.data)
        if self.diff.size:
            blob.diff.reshape(-1)[...] = self.diff

    def read(self):
        """The values, in memory. Of a file that was cut off, a mapping would end the process."""
        if not self._in_one_piece:
            return self.data
        values = np.empty(self.data.size, self.data.dtype)
        self._read_into(values)
        return values

    @property
    def _in_one_piece(self):
        return self.file is not None and self.place is not None

    def _read_into(self, values):
        self.file.seek(self.place)
        if self.file.readinto(memoryview(values).cast("B")) != values.nbytes:
            raise WeightsError(f"{self.file.name}: was cut off while it was read")

    def fits(self, shape):
        """Whether the values may go into a blob of this shape.

        A legacy shape is right-aligned: (1, 1, 1, N) fits (N).
        """
        if self.legacy:
            return len(shape) <= 4 and (1,) * (4 - len(shape)) + tuple(shape) == self.shape
        return tuple(shape) == self.shape


class BinaryFile(_WeightsFile):
    """A .caffemodel of any age; `layers` are [(layer name, [SavedBlob])] in file order.

    The arrays view the mapped file, so a large model is neither parsed nor copied. Only names and
    blobs are looked at: layers of any fork can be read.
    """

    def __init__(self, path):
        self.path = path
        self.file = opened(path)
        try:
            self.layers, self.checksum = self._parse()
        except BaseException:
            self.close()
            raise
        self.names = {name for name, _ in self.layers}
        for _, saved in self.layers:
            for blob in saved:
                blob.file = self.file

    def close(self):
        """Close the file; the arrays stay readable."""
        self.file.close()

    def lines(self):
        """What the checksum is of."""
        for name, saved in self.layers:
            for index, blob in enumerate(saved):
                yield checksum.line(name, index, blob.shape, blob.crc)
                if blob.diff.size:
                    crc = checksum.of_array(blob.diff)
                    yield checksum.line(name, index, blob.shape, crc, of="diff")

    def _parse(self):
        path, size = self.path, os.fstat(self.file.fileno()).st_size
        if size == 0:
            raise WeightsError(f"{path}: the file is empty, expected a .caffemodel")
        buffer = mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_READ)
        found, recorded = {2: [], 100: []}, None
        try:
            for number, kind, span in wire.fields(buffer, 0, size):
                if number in found and kind == wire.LENGTH:
                    layer = _read_layer(buffer, span, _CURRENT if number == 100 else _V1)
                    found[number].append(layer)
                elif number == _CHECKSUM and kind == wire.FIXED32:
                    recorded = int.from_bytes(buffer[span[0] : span[1]], "little")
        except (ProtoError, DecodeError) as problem:
            words = f"not a .caffemodel, or a damaged one: {problem}"
            raise self._mistake(words, "caffemodel") from None
        if not any(found.values()):
            raise self._mistake("holds no layers; expected a .caffemodel", "caffemodel")
        if all(found.values()):
            raise WeightsError(
                f'{path}: has layers of today\'s form ("layer", {len(found[100])}) and of the old '
                f'one ("layers", {len(found[2])}), expected one kind; save it again from its net'
            )
        return found[100] or found[2], recorded


_CHECKSUM = caffe_pb2.NetParameter.CHECKSUM_FIELD_NUMBER

# (number of name, number of blobs) in LayerParameter, V1LayerParameter, V0LayerParameter
_CURRENT, _V1, _V0 = (1, 7), (4, 6), (1, 50)


def _read_layer(buffer, span, numbers):
    name_number, blobs_number = numbers
    name, blobs = "", []
    for number, kind, value in wire.fields(buffer, *span):
        if kind != wire.LENGTH:
            continue
        if numbers is _V1 and number == 1:
            name, blobs = _read_layer(buffer, value, _V0)
        elif number == name_number:
            name = text_of(buffer[value[0] : value[1]])
        elif number == blobs_number:
            blobs.append(SavedBlob(**vars(blob_values.read(buffer, value))))
    return name, blobs


# HDF5


@dataclass
class Hdf5Blob:
    """One dataset of an open HDF5 file."""

    path: str
    dataset: object

    @property
    def shape(self):
        """That of the values."""
        return self.dataset.shape

    @property
    def values(self):
        """All of them, in memory."""
        with hdf5.named_in_errors(self.path):
            return self.dataset[()]

    @functools.cached_property
    def crc(self):
        """The CRC-32 of the values."""
        crc = 0
        with hdf5.named_in_errors(self.path):
            for values in hdf5.pieces(self.dataset):
                crc = checksum.of_array(values, crc)
        return crc

    def check(self):
        """Raise a DataError if a chunk cannot be read; what lies in one piece can be."""
        if self.dataset.chunks:
            _ = self.crc

    def copy_to(self, blob):
        """Give a blob these values."""
        target = blob.unfilled()
        if target.size:
            with hdf5.named_in_errors(self.path):
                self.dataset.read_direct(target.reshape(self.shape))


class Hdf5File(_WeightsFile):
    """HDF5 weights, open: /data/LAYER/INDEX."""

    def __init__(self, path):
        self.path = os.fspath(path)
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(hdf5.open_file(self.path))
            try:
                self.data = hdf5.group(file, "data")
            except DataError as problem:
                found = str(problem).removeprefix(f"{self.path}: ")
                words = f"expected {WANTED}, but this is an HDF5 file of something else: {found}"
                raise self._mistake(words, "HDF5") from None
            self.names = list(self.data)  # of layers, as in BinaryFile
            self.checksum = file.attrs.get(CHECKSUM)
            if not isinstance(self.checksum, np.integer | None):
                raise DataError(f'{path}: its attribute "{CHECKSUM}" is no number: damaged')
            self.close = stack.pop_all().close

    def lines(self):
        """What the checksum is of."""
        for name in self.names:
            for index, blob in self.blobs(name).items():
                yield checksum.line(name, index, blob.shape, blob.crc)

    def blobs(self, name):
        """{index, as text: Hdf5Blob} of a layer."""
        with hdf5.named_in_errors(self.path):
            return {index: self.blob(name, index) for index in hdf5.group(self.data, name)}

    def blob(self, name, index):
        """One Hdf5Blob of a layer."""
        with hdf5.named_in_errors(self.path):
            group = hdf5.group(self.data, name)
            return Hdf5Blob(self.path, hdf5.dataset(group, index, least_axes=0))
