"""What a convolution is of: the sizes that every way of computing it starts from."""

import math
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ._jit import ALONE, VALUE
from ._vectors import VECTOR_BYTES
from .tuning import FIXED, Thresholds

LONG_LINE = 256
"""Pixels up to which lines are joined where a kernel looks at one pixel."""

SMALL_WEIGHTS = 1 << 16
"""Weights fewer than this have gradients summed per thread, each over its share of the images."""


UNEVEN = 1.25
"""Times its even share that a thread may have: less than that where each has four pieces."""


def uneven(pieces, threads):
    """Whether a thread has much more than its share of so many pieces."""
    return -(-pieces // threads) * threads > UNEVEN * pieces


def in_one_row(y):
    """(values of y in one row, the step there from one image to the next).

    Images are contiguous, but where y is a part of a larger array other values lie between them.
    """
    if y.flags.c_contiguous:
        return y.reshape(-1), y.size // len(y)
    step = y.strides[0] // y.itemsize
    return as_strided(y, ((len(y) - 1) * step + y[0].size,), (y.itemsize,)), step


class Problem(NamedTuple):
    """y[n, m, o] = sum over c, k of w[m, c, k] x[n, c, o * stride + k * dilation - pad], in groups.

    `inputs` and `outputs` are channels of x and y in a group; from `size` on there is a number for
    each spatial axis. `threads` is how many may be used. Weights that are `kept` are packed once
    for many products. `tuned` says from how many tiles on Winograd's algorithm pays.
    """

    batch: int
    inputs: int
    outputs: int
    group: int
    size: tuple  # of x
    out: tuple  # of y
    kernel: tuple
    stride: tuple
    pad: tuple
    dilation: tuple
    itemsize: int
    threads: int
    vector_bytes: int = VECTOR_BYTES
    kept: bool = False
    tuned: Thresholds = FIXED

    @property
    def lanes(self):
        """Values in a vector register."""
        return self.vector_bytes // self.itemsize

    @property
    def pixels(self):
        """Of an image of y."""
        return math.prod(self.out)

    @property
    def positions(self):
        """Of the kernel."""
        return math.prod(self.kernel)

    @property
    def depth(self):
        """Products in a value of y."""
        return self.inputs * self.positions

    @property
    def weights(self):
        return self.group * self.outputs * self.depth

    @property
    def usable_threads(self):
        """One, where neither products nor reading weights is worth waking others for."""
        work = max(self.batch * self.pixels, VALUE) * self.weights
        return 1 if work <= ALONE else self.threads

    @property
    def threads_over_values(self):
        """`usable_threads` where to read x and write y is most of the work."""
        values = self.inputs * math.prod(self.size) + self.outputs * self.pixels
        return 1 if self.batch * self.group * values * VALUE <= ALONE else self.threads

    @property
    def geometry(self):
        """The array of `im2col`."""
        rows = self.size, self.out, self.kernel, self.stride, self.pad, self.dilation
        return np.array(rows, np.int64)

    def sums(self, blocks):
        """In how many parts gradients to the weights are summed, of so many blocks of pixels."""
        few = self.weights <= SMALL_WEIGHTS
        return min(self.usable_threads, blocks) if few else 1

    def transposed(self):
        """That of the gradient to x at stride 1: dy convolved with transposed weights."""
        axes = zip(self.kernel, self.pad, self.dilation, strict=True)
        return self._replace(
            inputs=self.outputs,
            outputs=self.inputs,
            size=self.out,
            out=self.size,
            pad=tuple(d * (k - 1) - p for k, p, d in axes),
        )

    def plane(self):
        """The same with two axes, or None where there are more."""
        if len(self.size) > 2:
            return None
        if len(self.size) == 1:
            ones = dict.fromkeys(("size", "out", "kernel", "stride", "dilation"), 1) | {"pad": 0}
            return self._replace(**{k: (one, *getattr(self, k)) for k, one in ones.items()}).plane()
        alone = self.kernel == self.stride == (1, 1) and self.pad == (0, 0)
        if not (alone and self.size == self.out):
            return self
        # pixels without neighbours: fewer, longer lines are faster to copy
        height, width = self.out
        longest = max(LONG_LINE // width, 1)
        joined = next(n for n in range(min(longest, height), 0, -1) if height % n == 0)
        lines = height // joined, width * joined
        return self._replace(size=lines, out=lines)
