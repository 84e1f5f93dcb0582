"""An LSTM over all steps of its streams, from the sums of its gates; and back. See `_cell`.

Streams know nothing of each other: a share of the work is some of them, from the first step to the
last. `packed` is what the sums are still to get, or to give back, as `panels.Panels` pack it: the
weights of the state. It may be empty, where callers multiply.
"""

from ._cell import cell, cell_back
from ._jit import kernel, prange
from .panels import multiply_rows


@kernel(parallel=True)
def forward(
    kind, units, streams, begin, end, gates, cont, seen_h, seen_c, p, c, h, packed, work, size,
    share,
):  # fmt: skip
    """c and h after steps `begin` to `end`, from those before and the sums in `gates`.

    All arrays are one row. Gates, (T, N, rows * H), take the place of their sums. c and h are
    (T + 1, N, H), with what is there before the first step at 0. What a step sees of these is cont
    times as much, `seen_h` and `seen_c`. p are the peepholes, (rows - 1, H), `kind` says which cell
    it is: see `_cell.KINDS`. Each share takes `size` of work.
    """
    width, own = len(gates) // len(cont), prange(streams, share)
    for t in range(begin, end):
        first, last = t * streams + own.start, t * streams + own.stop
        for n in range(first, last):
            for at in range(n * units, (n + 1) * units):
                seen_h[at] = cont[n] * h[at]
        if len(packed):
            multiply_rows(
                seen_h, first * units, units, last - first, packed, units, width, (0, 1),
                gates, first * width, width, True, work, share[0] * size,
            )  # fmt: skip
        for n in range(first, last):
            at, after = n * units, (n + streams) * units
            cell(
                kind, units, units, gates, n * width, cont, n, c, at, seen_c, at, p, 0,
                c, after, h, after,
            )  # fmt: skip


@kernel(parallel=True)
def backward(
    kind, units, streams, begin, end, limit, gates, later, seen_c, p, c, dy, dh, dc, dgates, packed,
    work, size, share,
):  # fmt: skip
    """The gradients of the sums of steps `end` - 1 to `begin`; see `forward`.

    What arrives at a step's states is dy + later * dh and later * dc, where `later` is the cont of
    the step after it, 0 for the last one. dh and dc, (N, H), are what goes back from step to step.
    Where `limit` is above 0, no gradient of a sum goes beyond it.
    """
    width, own = len(gates) // len(later), prange(streams, share)
    for t in range(end - 1, begin - 1, -1):
        first, last = t * streams + own.start, t * streams + own.stop
        for n in range(first, last):
            at, of = n * units, (n - t * streams) * units
            cell_back(
                kind, units, units, gates, n * width, seen_c, at, c, (n + streams) * units, p, 0,
                dy, at, later, n, dh, of, dc, of, dgates, n * width,
            )  # fmt: skip
        if limit > 0:
            for at in range(first * width, last * width):
                if dgates[at] > limit:
                    dgates[at] = limit
                elif dgates[at] < -limit:
                    dgates[at] = -limit
        if len(packed):
            multiply_rows(
                dgates, first * width, width, last - first, packed, width, units, (0, 1),
                dh, own.start * units, units, False, work, share[0] * size,
            )  # fmt: skip
