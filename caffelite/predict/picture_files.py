"""The picture files that names on a command line stand for."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable

from .. import file_kind, reading
from ..data.picture_file import is_picture_name
from ..errors import DataError


def find(words: Iterable[str]) -> list[str]:
    """The files that folders, patterns, lists (.txt) and names stand for, in order.

    A line of a list is the name of a picture, from the working directory on or from the list's.
    """
    return [path for word in words for path in _find(word)]


def _fail(problem: OSError) -> None:
    raise DataError(f"{problem.filename}: cannot be read: {problem.strerror}")


def _find(word: str) -> list[str]:
    if os.path.isdir(word):
        found = sorted(
            os.path.join(place, name)
            for place, _, files in os.walk(word, onerror=_fail)
            for name in files
            if is_picture_name(name)
        )
        if not found:
            raise DataError(f"{word}: {_instead(word)}")
    elif word.lower().endswith(".txt"):
        lines = [line.strip() for line in reading.lines(word, "names of pictures, a line each")]
        found = [_near(os.path.dirname(word), line) for line in lines if line]
        if not found:
            raise DataError(f"{word}: names no pictures")
    elif not os.path.exists(word) and glob.has_magic(word):
        found = sorted(glob.glob(word, recursive=True))
        if not found:
            raise DataError(f"{word}: nothing has such a name")
    else:
        found = [word]
    return found


def _instead(folder: str) -> str:
    """What to say of a folder without pictures."""
    kind = file_kind.of(folder)
    if kind is None or kind.name == "folder":
        return "holds no pictures"
    return f"is {kind.what}, and holds no pictures; caffelite browse shows what is in databases"


def _near(folder: str, name: str) -> str:
    """A name of a list, as it is or from the list's folder on."""
    beside = os.path.join(folder, name)
    return beside if os.path.exists(beside) and not os.path.exists(name) else name
