"""max(x, 0) + slope * min(x, 0) and its gradient, over flat arrays that may be one and the same.

Both loops of a kernel say the same. Only where a loop names a single array does LLVM see that
working in place is harmless, and use vector instructions.
"""

from ._jit import kernel, prange

PART = 1 << 16
"""Values that are one task for a thread."""


@kernel
def forward_part(x, slope, y):
    zero = slope - slope  # of slope's type; turns slope * x = -0 into 0
    if x.ctypes.data == y.ctypes.data:
        for i in range(y.size):
            y[i] = y[i] if y[i] > 0 else slope * y[i] + zero
    else:
        for i in range(y.size):
            y[i] = x[i] if x[i] > 0 else slope * x[i] + zero


@kernel
def backward_part(x, dy, slope, dx):
    if dy.ctypes.data == dx.ctypes.data:
        for i in range(dx.size):
            dx[i] = dx[i] if x[i] > 0 else slope * dx[i]
    else:
        for i in range(dx.size):
            dx[i] = dy[i] if x[i] > 0 else slope * dy[i]


@kernel(parallel=True)
def forward(x, slope, y, share):
    """y = x where x > 0, slope * x elsewhere; `slope` is of the arrays' dtype, y may be x."""
    for part in prange((x.size + PART - 1) // PART, share):
        own = slice(part * PART, (part + 1) * PART)
        forward_part(x[own], slope, y[own])


@kernel(parallel=True)
def backward(x, dy, slope, dx, share):
    """dx = dy where x > 0, slope * dy elsewhere; dx may be dy."""
    for part in prange((x.size + PART - 1) // PART, share):
        own = slice(part * PART, (part + 1) * PART)
        backward_part(x[own], dy[own], slope, dx[own])
