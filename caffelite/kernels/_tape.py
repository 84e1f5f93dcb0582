"""The calls of kernels that a thread makes, taken down so that they can be made again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

Call = tuple[Any, int, tuple[Any, ...]]
"""A `Parallel` kernel, in how many parts it ran, and its arguments."""

_open = threading.local()


@contextmanager
def taken_down() -> Iterator[list[Call]]:
    """A list that gets each call that this thread makes of a `Parallel` kernel, for `Again`."""
    calls: list[Call] = []
    before, _open.calls = getattr(_open, "calls", None), calls
    try:
        yield calls
    finally:
        _open.calls = before


def note(kernel: Any, parts: int, arguments: tuple[Any, ...]) -> None:
    """Add a call that is about to be made, where calls are taken down."""
    calls: list[Call] | None = getattr(_open, "calls", None)
    if calls is not None:
        calls.append((kernel, parts, arguments))
