"""Larger planes: values put in places that a mask names, or each repeated; and back.

x and dx are (planes, height, width), y and dy (planes, rows, columns), the mask is as x and holds
row * columns + column of y as a number of any type. Threads take whole planes.
"""

from ._jit import kernel, prange


@kernel(parallel=True)
def check(mask, size, wrong, share):
    """wrong[p] = the first place of plane p's mask that does not lie in 0 to size - 1, else -1."""
    for p in prange(len(mask), share):
        wrong[p] = -1
        plane = mask[p].ravel()
        for i in range(plane.size):
            if not (plane[i] >= 0 and plane[i] < size):
                wrong[p] = i
                break


@kernel(parallel=True)
def forward(x, mask, y, share):
    """y[mask] = x, and 0 elsewhere; of a place named twice, the last value stays."""
    for p in prange(len(x), share):
        out = y[p].ravel()
        out[:] = 0
        values, places = x[p].ravel(), mask[p].ravel()
        for i in range(values.size):
            out[int(places[i])] = values[i]


@kernel(parallel=True)
def backward(dy, mask, dx, share):
    """dx = dy[mask]"""
    for p in prange(len(dx), share):
        given, places, out = dy[p].ravel(), mask[p].ravel(), dx[p].ravel()
        for i in range(out.size):
            out[i] = given[int(places[i])]


@kernel(parallel=True)
def _add_blocks(dy, scale, dx, share):
    height, width = dx.shape[1:]
    for p in prange(len(dx), share):
        for i in range(height):
            dx[p, i] = 0
            for r in range(i * scale, (i + 1) * scale):
                for j in range(width):
                    total = dx[p, i, j]
                    for c in range(j * scale, (j + 1) * scale):
                        total += dy[p, r, c]
                    dx[p, i, j] = total


def add_blocks(dy, dx, scale):
    """dx[i, j] = the sum of the block of dy, scale x scale, that begins at i scale, j scale."""
    _add_blocks(dy, scale, dx)
