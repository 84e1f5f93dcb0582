"""The ways in which a bucket's values become their mean over all ranks, step by step.

Each is a generator: it yields the requests that it waits for, or [] where it waits for others, and
is asked to go on when they are done. All end with the same bits on all ranks, each time.
"""

import numpy as np


def slices(bucket):
    """Each rank gets its slice of all others, adds up in the order of ranks, and sends it to all.

    As few bytes as can be: 2 (N - 1) / N of the bucket from each of N ranks, in two steps.
    """
    rank, size = bucket.rank, bucket.size
    counts, starts = bucket.slices()
    own, wire = counts[rank], bucket.on_wire(bucket.values)
    received = np.empty((size, own), wire.dtype)
    to_me = [own] * size, [own * k for k in range(size)]
    yield [bucket.comms[0].Ialltoallv([wire, (counts, starts)], [received, to_me])]
    while bucket.before is not None and not bucket.before.gathers:
        yield []  # all ranks begin these in the order of buckets
    bucket.gathers, bucket.before = True, None
    total = bucket.off_wire(received[0])
    for slice_of_rank in received[1:]:
        total += bucket.off_wire(slice_of_rank)
    _divide(total, size)
    mean = bucket.on_wire(total)
    yield [bucket.comms[1].Iallgatherv(mean, [wire, (counts, starts)])]
    if wire is not bucket.values:
        bucket.values[...] = bucket.off_wire(wire)


def ring(bucket):
    """Slices go round: N - 1 times with what ranks add to them, N - 1 times as they are.

    Slice k is summed in the order k, k + 1, ..., N - 1, 0, ... and each rank sends to one other.
    """
    comm, rank, size = bucket.comms[0], bucket.rank, bucket.size
    counts, starts = bucket.slices()
    parts = [bucket.values[a : a + n] for a, n in zip(starts, counts, strict=True)]
    after, before = (rank + 1) % size, (rank - 1) % size
    for step in range(2 * (size - 1)):
        adds = step < size - 1
        sent = parts[(rank - step) % size]
        target = parts[(rank - step - 1) % size]
        found = np.empty_like(target) if adds else target
        yield [
            comm.Isend(sent, after, bucket.number),
            comm.Irecv(found, before, bucket.number),
        ]
        if adds:
            np.add(found, target, out=target)
            if step == size - 2:
                _divide(target, size)


def tree(bucket):
    """Level by level: every second rank sends its sum to the one before, until rank 0 has all,
    and back in the same way. log2 N levels, with the whole bucket each.
    """
    comm, rank, size, values = bucket.comms[0], bucket.rank, bucket.size, bucket.values
    below, distance = [], 1  # the ranks that send to this one
    while distance < size and rank % (2 * distance) == 0:
        if rank + distance < size:
            below.append(rank + distance)
            found = np.empty_like(values)
            yield [comm.Irecv(found, rank + distance, bucket.number)]
            values += found
        distance *= 2
    if rank:
        yield [comm.Isend(values, rank - distance, bucket.number)]
        yield [comm.Irecv(values, rank - distance, bucket.number)]
    else:
        _divide(values, size)
    yield [comm.Isend(values, other, bucket.number) for other in reversed(below)]


def _divide(total, size):
    """Make the mean of a sum: rounded once, as 1 / 3 is not."""
    total /= total.dtype.type(size)


WAYS = {"auto": slices, "ring": ring, "tree": tree}
