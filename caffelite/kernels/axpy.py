"""y += a x, in one pass."""

from ._jit import kernel


@kernel(fused=True)
def axpy(a, x, y):
    """y += a * x for flat arrays of one dtype, rounded once where the CPU can, as in BLAS."""
    factor = y.dtype.type(a)
    for i in range(y.size):
        y[i] += factor * x[i]
