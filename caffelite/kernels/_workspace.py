"""Scratch memory that kernels share, one block per thread and dtype, grown to the largest need."""

import threading

import numpy as np

_local = threading.local()
_ALIGN = 64


def workspace(dtype, size):
    """A 1-D array of at least `size` elements with arbitrary contents, at a cache line's start.

    It is handed out again by the next call from the same thread: use it within one kernel call.
    """
    blocks = _local.__dict__
    key = np.dtype(dtype).char
    if key not in blocks or blocks[key].size < size:
        blocks.pop(key, None)
        blocks[key] = aligned(dtype, size)
    return blocks[key]


def aligned(dtype, size):
    """A new 1-D array with arbitrary contents that starts at a cache line."""
    itemsize = np.dtype(dtype).itemsize
    raw = np.empty(size * itemsize + _ALIGN, np.uint8)
    start = -raw.ctypes.data % _ALIGN
    return raw[start : start + size * itemsize].view(dtype)


def add_by_parts(add, dw, parts, size):
    """add(work, target) adds to dw, with `size` elements of work.

    Where it does so in parts, the target has zeros of dw's shape for each, one behind another; they
    are added up here, in their order.
    """
    sums = parts * dw.size if parts > 1 else 0
    work = workspace(dw.dtype, size + sums)
    if not sums:
        add(work, dw.reshape(-1))
        return
    target = work[size:][:sums]
    target[:] = 0
    add(work, target)
    for part in target.reshape(parts, *dw.shape):
        dw += part


def workspace_rows(dtype, threads, size):
    """A row of workspace for each thread: (threads, size)."""
    return workspace(dtype, threads * size)[: threads * size].reshape(threads, size)
