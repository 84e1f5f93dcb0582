"""A step of an LSTM for all streams, from the sums of its gates; and back. See `_cell`."""

from ._cell import cell, cell_back
from ._jit import kernel


@kernel
def forward(kind, units, gates, cont, before, seen, p, c, h):
    """c and h after the step, (N, H) each as one row, from the sums in `gates`, (N, rows * H).

    Gates take the place of their sums. `before` is c before the step, `seen` becomes cont * before,
    p are the peepholes, (rows - 1, H), `kind` says which cell it is: see `_cell.KINDS`.
    """
    width = len(gates) // len(cont)
    for n in range(len(cont)):
        at = n * units
        cell(
            kind, units, units, gates, n * width, cont, n, before, at, seen, at, p, 0, c, at, h, at
        )


@kernel
def backward(kind, units, gates, seen, c, p, dy, later, dh, dc, dgates):
    """The gradients of the step's sums, and in `dc` that of the c that it saw.

    The gradients at h and c after it are dy + later * dh and later * dc.
    """
    width = len(gates) // len(later)
    for n in range(len(later)):
        at = n * units
        cell_back(
            kind, units, units, gates, n * width, seen, at, c, at, p, 0, dy, at,
            later, n, dh, at, dc, at, dgates, n * width,
        )  # fmt: skip
