"""From how many tiles on Winograd's algorithm pays: fixed numbers, or those measured on a machine.

`measure` races it against what is taken else, and `caffelite doctor --tune` keeps what came out
beside the machine code, in a file for each kind of CPU, number of threads and version. Nothing else
measures, since another way rounds otherwise: a training gives the same bits as long as this file
stays as it is. CAFFELITE_TUNE=0 in the environment takes the fixed numbers, always.
"""

import json
import logging
import math
import os
import statistics
import time
import zlib
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

import numpy as np

from ..environment import choice
from ._cache import cache_folder
from ._jit import thread_count

log = logging.getLogger("caffelite")

SQUARES = 1, 2, 3, 4, 6, 8, 12, 16, 24
TILES = 4
"""Tiles of `SIZE` by `SIZE` values. What is measured is one image of so many of these side by side:
for many small images there are ways that neither of the two races."""
SIZE = 8
TURNS = 15
BUSY = 1.5
"""Times the best of its turns that the median of a race takes where other programs are at work."""


class Thresholds(NamedTuple):
    """Fewer tiles of 4 by 4 values than these do not pay for the transforms."""

    tiles: int = 48
    tiles_of_many: int = 16  # inputs and outputs
    tiles_kept: int = 12  # with weights that were transformed before
    gradient_tiles: int = 48  # of the gradient to the weights, of few outputs


FIXED, NONE = Thresholds(), "fixed"
_ALWAYS, _NEVER = Thresholds(1, 1, 1, 1), Thresholds(*[1 << 40] * 4)
_given = None  # what all threads take, instead of a file's


def threads_here():
    """How many there are for kernels."""
    return thread_count(math.inf)


def path(threads):
    """The file for this kind of CPU, so many threads and this version."""
    from numba.core.registry import cpu_target

    from .. import __version__

    kind = cpu_target.target_context.codegen().magic_tuple()
    name = f"tuning-{kind[1] or 'generic'}-{zlib.crc32(repr(kind).encode()):08x}"
    return os.path.join(cache_folder(), f"{name}-{threads}-{__version__}.json")


def thresholds(threads):
    """Those to go by, with so many threads."""
    return _read(threads) if _given is None else _given


def told():
    """Which thresholds this process goes by: "fixed", or the file's name and their digest."""
    threads = threads_here()
    found = thresholds(threads)
    if found == FIXED:
        return NONE
    return f"{os.path.basename(path(threads))} {zlib.crc32(repr(tuple(found)).encode()):08x}"


def take(found):
    """Go by these thresholds in all of this process; with None, by files again."""
    global _given
    _given = found
    _read.cache_clear()


@cache
def _read(threads):
    """What the file has; the fixed numbers where there is none, or it is damaged."""
    if choice("CAFFELITE_TUNE", ("0", "1"), "1") == "0":
        return FIXED
    file = path(threads)
    try:
        with open(file, "rb") as opened:
            found = json.loads(opened.read())
        if set(found) != set(Thresholds._fields):
            raise ValueError(f"it has not {', '.join(Thresholds._fields)}")
        if any(type(number) is not int or number < 1 for number in found.values()):
            raise ValueError("not all are numbers of tiles, above 0")
    except FileNotFoundError:
        return FIXED
    except (OSError, ValueError, TypeError, AttributeError) as problem:
        log.warning(
            "%s: %s; fixed numbers are taken, and `caffelite doctor --tune` makes it anew",
            file,
            problem,
        )
        return FIXED
    return Thresholds(**found)


def text_of(found):
    """What `path` is to hold, for these thresholds to be taken from then on."""
    return json.dumps(found._asdict(), indent=1) + "\n"


def measure():
    """(Thresholds, whether other programs were at work) for the threads that kernels have."""
    found, noise = {}, []
    for name, run in _races().items():
        times = [_race(run, squares) for squares in SQUARES]
        noise += [busy for *_, busy in times]
        found[name] = _from_where([winograd <= other for winograd, other, _ in times])
    return Thresholds(**found), statistics.median(noise) > BUSY


def _from_where(wins):
    """The tiles from which on it won all races; twice the most, if it lost the last."""
    first = len(wins)
    while first and wins[first - 1]:
        first -= 1
    return TILES * (SQUARES[first] if first < len(wins) else 2 * SQUARES[-1])


def _races():
    """{threshold: f(squares), which gives what is to be timed}"""
    from . import convolve
    from .epilogue import Epilogue

    geometry = (1, 1), (1, 1), (1, 1)

    def arrays(squares, inputs, outputs):
        rng = np.random.default_rng(1)
        x = rng.standard_normal((1, inputs, SIZE, SIZE * squares), np.float32)
        w = rng.standard_normal((outputs, inputs, 3, 3), np.float32)
        return x, w, rng.standard_normal((1, outputs, SIZE, SIZE * squares), np.float32)

    def forward(channels):
        def prepare(squares):
            x, w, y = arrays(squares, channels, channels)
            return lambda: convolve.forward(x, w, y, *geometry)

        return prepare

    def kept(squares):
        x, w, y = arrays(squares, 64, 64)
        plain, packed = Epilogue.of(x.dtype, 64), {}

        def keep(pack, use):
            if use not in packed:
                packed[use] = pack(w)
            return packed[use]

        return lambda: convolve.forward_kept(x, w.shape, y, *geometry, 1, plain, keep)

    def gradient(squares):
        x, w, dy = arrays(squares, 64, 32)
        return lambda: convolve.backward_weight(x, dy, w, *geometry)

    return dict(zip(Thresholds._fields, (forward(64), forward(128), kept, gradient), strict=True))


def _race(prepare, squares):
    """(best time with Winograd's algorithm, best without, median / best of them), in turns."""
    run, times = prepare(squares), ([], [])
    for turn in range(-1, TURNS):  # the first compiles, and brings weights into caches
        for way, own in zip((_ALWAYS, _NEVER), times, strict=True):
            with _taken(way):
                began = time.perf_counter()
                run()
                took = time.perf_counter() - began
            if turn >= 0:
                own.append(took)
    best = [min(own) for own in times]
    return *best, statistics.median(times[0]) / best[0]


@contextmanager
def _taken(found):
    """Let plans go by these thresholds."""
    global _given
    before, _given = _given, found
    try:
        yield
    finally:
        _given = before
