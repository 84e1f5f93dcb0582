"""What the makers of digits share: digits that packages bring along, two parts, a border."""

import gzip
import importlib.util
import os
import zlib

import numpy as np

from ...errors import DataError, missing_extra
from ..arrays import ArraySource


def as_sources(parts, pad):
    """{part: source} of {part: (images, labels)}, gray images n x height x width.

    Each image gets a border of `pad` zeros.
    """
    border = (0, 0), (0, 0), (pad, pad), (pad, pad)
    return {
        part: ArraySource(np.pad(images[:, None], border) if pad else images[:, None], labels)
        for part, (images, labels) in parts.items()
    }


def split(images, labels, tests):
    """Images and labels in two parts, with `tests` of each digit for testing."""
    random = np.random.RandomState(0)  # unlike Generator's, its numbers are promised to stay
    order = random.permutation(len(labels))
    test = np.concatenate([order[labels[order] == digit][:tests] for digit in range(10)])
    train = random.permutation(np.setdiff1d(order, test))
    parts = {"train": train, "test": random.permutation(test)}
    return {name: (images[part], labels[part]) for name, part in parts.items()}


def packaged(name, file, count, side):
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
