"""The ways in which a bucket's values become their mean over all ranks, step by step.

Each is a generator: it yields the requests that it waits for, and is asked to go on when they are
done. All end with the same bits on all ranks, each time.
"""

import numpy as np

_PIECE = 1 << 15  # values that are added up at once, so that what is between stays in a cache


def slices(bucket):
    """Each rank gets its slice of all others, adds up in the order of ranks, and sends it to all.

    As few bytes as can be: 2 (N - 1) / N of the bucket from each of N ranks, in two steps.
    """
    comm, rank, size, values = bucket.comm, bucket.rank, bucket.size, bucket.values
    counts, starts = bucket.slices()
    wire = bucket.on_wire(values)
    parts = [wire[a : a + n] for a, n in zip(starts, counts, strict=True)]
    others = [k for k in range(size) if k != rank]
    received = {k: np.empty_like(parts[rank]) for k in others}
    requests = [comm.Irecv(received[k], k, bucket.number) for k in others]
    yield requests + [comm.Isend(parts[k], k, bucket.number) for k in others]
    received[rank] = parts[rank]
    mean = values[starts[rank] : starts[rank] + counts[rank]]
    _mean([bucket.off_wire(received[k]) for k in range(size)], mean)
    if wire is not values:
        parts[rank][...] = bucket.on_wire(mean)
    requests = [comm.Irecv(parts[k], k, bucket.number) for k in others]
    yield requests + [comm.Isend(parts[rank], k, bucket.number) for k in others]
    if wire is not values:
        values[...] = bucket.off_wire(wire)


def _mean(arrays, out):
    """The mean of arrays, added up in their order; one of them may be `out`."""
    apart = out if len(arrays) == 2 else np.empty(min(_PIECE, out.size), out.dtype)
    for start in range(0, out.size, _PIECE):
        first, second, *rest = (array[start : start + _PIECE] for array in arrays)
        target = out[start : start + _PIECE]
        total = target if apart is out else apart[: target.size]
        np.add(first, second, out=total)
        for array in rest:
            total += array
        _divide(total, len(arrays), target)


def _divide(total, count, out):
    """A mean, rounded once: 1 / 3 is not a float, and the powers of 2 are faster by a product."""
    if count & (count - 1):
        np.divide(total, count, out=out)
    else:
        np.multiply(total, 1 / count, out=out)


def ring(bucket):
    """Slices go round: N - 1 times with what ranks add to them, N - 1 times as they are.

    Slice k is summed in the order k, k + 1, ..., N - 1, 0, ... and each rank sends to one other.
    """
    comm, rank, size = bucket.comm, bucket.rank, bucket.size
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
                _divide(target, size, target)


def tree(bucket):
    """Level by level: every second rank sends its sum to the one before, until rank 0 has all,
    and back in the same way. log2 N levels, with the whole bucket each.
    """
    comm, rank, size, values = bucket.comm, bucket.rank, bucket.size, bucket.values
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
        _divide(values, size, values)
    yield [comm.Isend(values, other, bucket.number) for other in reversed(below)]


WAYS = {"auto": slices, "ring": ring, "tree": tree}
