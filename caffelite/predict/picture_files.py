"""The picture files that names on a command line stand for."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable

from ..data.picture_file import is_picture_name
from ..errors import DataError


def find(words: Iterable[str]) -> list[str]:
    """The files that folders, patterns and names stand for, in order."""
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
            raise DataError(f"{word}: holds no pictures")
    elif not os.path.exists(word) and glob.has_magic(word):
        found = sorted(glob.glob(word, recursive=True))
        if not found:
            raise DataError(f"{word}: nothing has such a name")
    else:
        found = [word]
    return found
