"""The exchange of gradients: their mean over all ranks, in buckets, while backward goes on.

A bucket's values are cut into as many slices as there are ranks. Each rank gets its slice of all
others (Ialltoallv), adds these up in the order of ranks, and sends the mean to all (Iallgatherv).
So all have the same bits, and a run with the same number of ranks has the same bits each time.
"""

import itertools
import time
from collections import deque

import numpy as np

BUCKET = 4 << 20  # bytes: large enough to be sent at speed, small enough to stay in a cache
MOST_AT_ONCE = 4  # buckets under way, which have buffers


class Exchange:
    """Makes arrays that ranks have the mean of them, in place, in the order in which they come.

    All ranks add arrays of the same sizes in the same order. `progress` may be called at any time;
    after `finish` all arrays hold means.

    Parameters
    ----------
    comm : the communicator of the ranks
    """

    def __init__(self, comm, bucket=BUCKET):
        # Collectives of one kind are begun in the same order by all ranks, but not those of both.
        self.comms = comm.Dup(), comm.Dup()
        self.rank, self.size = comm.rank, comm.size
        self.bucket = bucket
        self._parts, self._bytes = [], 0  # of the next bucket
        self._waiting, self._under_way = deque(), deque()
        self._free = []  # buffers
        self.bytes = 0  # that were exchanged
        self.waited = 0.0  # seconds in `finish`

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
        self.bytes += self._bytes
        self._parts, self._bytes = [], 0
        self.progress()

    def progress(self):
        """Let what is under way go on, and begin what can begin; never waits."""
        for bucket in self._under_way:
            bucket.go_on()
        while self._under_way and self._under_way[0].is_done:
            self._free.append(self._under_way.popleft().buffer)
        while self._waiting and len(self._under_way) < MOST_AT_ONCE:
            buffer = self._free.pop() if self._free else np.empty(0)
            before = self._under_way[-1] if self._under_way else None
            self._under_way.append(_Bucket(self, self._waiting.popleft(), buffer, before))

    def finish(self):
        """Wait until all arrays hold means."""
        if self._parts:
            self._close_bucket()
        began = time.perf_counter()
        while self._waiting or self._under_way:
            self.progress()
        self.waited += time.perf_counter() - began


class _Bucket:
    """Values on their way: sent in slices, added up, and sent to all."""

    def __init__(self, exchange, parts, buffer, before):
        self.exchange, self.before = exchange, before
        self.parts, self.is_done, self.gathers = parts, False, False
        size, rank = exchange.size, exchange.rank
        count, dtype = sum(part.size for part in parts), parts[0].dtype
        starts = [count * k // size for k in range(size + 1)]
        self.counts = [b - a for a, b in itertools.pairwise(starts)]
        self.starts = starts[:size]
        own = self.counts[rank]
        needed = own * size + (count if len(parts) > 1 else 0)
        self.buffer = buffer if buffer.dtype == dtype and buffer.size >= needed else None
        if self.buffer is None:
            self.buffer = np.empty(needed, dtype)
        self.received = self.buffer[: own * size].reshape(size, own)
        self.values = parts[0]
        if len(parts) > 1:
            self.values = self.buffer[own * size :][:count]
            np.concatenate(parts, out=self.values)
        to_me = [own] * size, [own * k for k in range(size)]
        self.request = exchange.comms[0].Ialltoallv(
            [self.values, (self.counts, self.starts)], [self.received, to_me]
        )

    def go_on(self):
        """Take the next step, if the one before it is done."""
        if not self.gathers:
            # Gathering begins in the order of buckets, on all ranks.
            ready = self.before is None or self.before.gathers
            if not (self.request.Test() and ready):
                return
            self.before = None
            self._gather()
        if not self.is_done and self.request.Test():
            self.is_done = True
            if len(self.parts) > 1:
                start = 0
                for part in self.parts:
                    part[...] = self.values[start : start + part.size]
                    start += part.size

    def _gather(self):
        mean = self.received[0]
        for slice_of_rank in self.received[1:]:
            mean += slice_of_rank
        mean *= mean.dtype.type(1 / self.exchange.size)
        self.request = self.exchange.comms[1].Iallgatherv(
            mean, [self.values, (self.counts, self.starts)]
        )
        self.gathers = True
