"""The exchange of gradients: their mean over all ranks, in buckets, while backward goes on."""

import itertools
import math
import time
from collections import deque

import numpy as np

from ..errors import SolverError
from .cost import bucket_of
from .ways import WAYS

MOST_AT_ONCE = 4  # buckets under way, which have buffers
TAGS = 1 << 14  # numbers of buckets, which messages between two ranks bear
SCALE = np.float32(1024)  # of gradients in float16, of which few are above 64, and many below 1e-5


class Exchange:
    """Makes arrays that ranks have the mean of them, in place, in the order in which they come.

    All ranks add arrays of the same sizes in the same order. `progress` may be called at any time;
    after `finish` all arrays hold means. `waited` are the seconds spent in `finish`.

    Parameters
    ----------
    comm : the communicator of the ranks
    way : "auto", "ring" or "tree"; see `ways.py`
    half : whether values are sent as float16, and added up in float32; with "auto" alone
    bucket : how many bytes set out together, or None for `cost.bucket_of` so many ranks
    """

    def __init__(self, comm, way="auto", half=False, bucket=None):
        if half and way != "auto":
            raise SolverError(f"float16 is sent with --exchange auto alone, not with {way}")
        self.comm = comm.Dup()
        self.rank, self.size = comm.rank, comm.size
        self.way, self.half, self.bucket = WAYS[way], half, bucket or bucket_of(comm.size)
        self._parts, self._bytes = [], 0  # of the next bucket
        self._waiting, self._under_way = deque(), deque()
        self._numbers = itertools.count()
        self.waited = 0.0
        self.note = lambda name, kind, began: None  # see Trace
        self.squares = [0.0, 0.0]  # sums of those of values, and of their errors, in float16

    def add(self, array):
        """Take in a contiguous array, which is left alone from now on until `finish`."""
        flat = array.reshape(-1)
        step = max(1, self.bucket // flat.itemsize)
        if self._parts and (flat.dtype != self._parts[0].dtype or flat.size > step):
            self._close_bucket()
        for start in range(0, flat.size, step):
            part = flat[start : start + step]
            self._parts.append(part)
            self._bytes += part.nbytes
            if self._bytes >= self.bucket:
                self._close_bucket()

    def _close_bucket(self):
        self._waiting.append(self._parts)
        self._parts, self._bytes = [], 0
        self.progress()

    def progress(self):
        """Let what is under way go on, and begin what can begin; never waits."""
        for bucket in self._under_way:
            bucket.go_on()
        while self._under_way and self._under_way[0].is_done:
            bucket = self._under_way.popleft()
            lane = f"exchange {bucket.number % MOST_AT_ONCE}"
            self.note(f"{bucket.values.nbytes / 1e6:.1f} MB", lane, bucket.began)
        while self._waiting and len(self._under_way) < MOST_AT_ONCE:
            number = next(self._numbers) % TAGS
            self._under_way.append(_Bucket(self, self._waiting.popleft(), number))

    def finish(self):
        """Wait until all arrays hold means."""
        if self._parts:
            self._close_bucket()
        began = time.perf_counter()
        while self._waiting or self._under_way:
            self.progress()  # without a pause: who lets others have the core gets it back late
        self.waited += time.perf_counter() - began

    def rounding(self):
        """How far float16 is off what was sent, relative, since this was asked last; or None."""
        (whole, error), self.squares = self.squares, [0.0, 0.0]
        return math.sqrt(error / whole) if whole else None


class _Bucket:
    """Values on their way."""

    def __init__(self, exchange, parts, number):
        self.exchange, self.parts, self.number = exchange, parts, number
        self.rank, self.size, self.comm = exchange.rank, exchange.size, exchange.comm
        self.values = parts[0] if len(parts) == 1 else np.concatenate(parts)
        self.is_done, self.began = False, time.perf_counter()
        self._steps = exchange.way(self)
        self._requests = next(self._steps)

    def slices(self):
        """(numbers of values, starts) of as many slices as there are ranks."""
        starts = [self.values.size * k // self.size for k in range(self.size + 1)]
        return [b - a for a, b in itertools.pairwise(starts)], starts[:-1]

    def go_on(self):
        """Take the next steps, as far as what they wait for is done."""
        while not self.is_done and all(request.Test() for request in self._requests):
            self._requests = next(self._steps, None)
            if self._requests is None:
                self._end()

    def _end(self):
        self.is_done = True
        if len(self.parts) > 1:
            ends = np.cumsum([part.size for part in self.parts])
            for part, end in zip(self.parts, ends, strict=True):
                part[...] = self.values[end - part.size : end]

    def on_wire(self, values):
        """The values as they are sent: as they are, or as bits of float16."""
        if not self.exchange.half:
            return values
        with np.errstate(over="ignore"):
            sent = (values * SCALE).astype(np.float16)
        if not np.isfinite(sent).all():
            raise SolverError(
                f"a gradient of {abs(values).max():g} is too large for float16; leave --float16 "
                "out, or limit gradients: clip_gradients comes too late for that, a lower "
                "loss_weight does"
            )
        error = sent.astype(np.float32) / SCALE - values
        self.exchange.squares[0] += float(np.vdot(values, values))
        self.exchange.squares[1] += float(np.vdot(error, error))
        return sent.view(np.int16)

    def off_wire(self, values):
        """What was sent, as values."""
        return values.view(np.float16) / SCALE if self.exchange.half else values
