"""Rows added up by index: the gradient of a table that rows are looked up in."""

from ._jit import kernel


@kernel
def add_rows(dy, index, dw):
    """dw[index[i]] += dy[i] for each i, in order."""
    for i in range(index.size):
        row = index[i]
        for j in range(dy.shape[1]):
            dw[row, j] += dy[i, j]
