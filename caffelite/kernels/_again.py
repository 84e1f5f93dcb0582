"""Calls of kernels that are made again, one after the other, without Python in between."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numba import config

from ._jit import kernel, lent_threads
from ._launch import FAILED, run_record
from ._tape import Call


class Again:
    """Calls that were taken down: called, it makes them in their order.

    They do the same as before, with what arrays hold by then, in the thread that made them first.
    """

    def __init__(self, calls: Iterable[Call]) -> None:
        self._calls = [*calls]  # which hold the arrays that records point to
        if config.DISABLE_JIT:  # no machine code, of which there could be records
            return
        self._wants_threads = any(parts > 1 for _, parts, _ in self._calls)
        self._records = [
            kernel.record(parts, *arguments) for kernel, parts, arguments in self._calls
        ]
        self._addresses = np.array([record.ctypes.data for record in self._records], np.int64)

    def __call__(self) -> None:
        if config.DISABLE_JIT:
            for kernel, parts, arguments in self._calls:
                kernel.on(parts)(*arguments)
            return
        with lent_threads(self._wants_threads) as (threads, address):
            failed = _run(self._addresses, threads, address)
        if failed >= 0:
            name = self._calls[failed][0].py_func.__qualname__
            raise RuntimeError(f"{name}: {FAILED}")


@kernel
def _run(records, threads, address):
    """Run the records at these addresses; the place of the first that fails, or -1."""
    for i in range(len(records)):
        if run_record(records[i], threads, address):
            return i
    return -1
