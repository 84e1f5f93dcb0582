"""What sections of a .cfg become: a blob with its shape, and blobs that .weights hold."""

from dataclasses import dataclass
from typing import NamedTuple

from . import cfg


class Made(NamedTuple):
    """What a section makes: a blob, and its shape without the batch, (channels, height, width).

    That of a dense layer is (values,).
    """

    blob: str
    shape: tuple


@dataclass(frozen=True)
class Stored:
    """A blob that .weights hold, or one that has the value `always`, and is in no file.

    With `rows`, the file holds a matrix of so many rows, whose transpose the blob is.
    """

    section: cfg.Section
    layer: str
    index: int
    shape: tuple
    rows: int = 0
    always: float | None = None


def name_of(section):
    """What the names of its layers begin with; converters for Caffe count from 1."""
    return f"layer{section.index + 1}"


def times(sizes):
    return " x ".join(map(str, sizes))
