"""The style matrix of pictures, for the layers that make it or compare it."""

import math

from ..kernels.gemm import gemm


def features(array):
    """x of (N, C, ...), or its diff, as matrices F of C maps and M places: (N, C, M)."""
    return array.reshape(*array.shape[:2], math.prod(array.shape[2:]))


def share(shape):
    """1 / (C M), by which style matrices are multiplied so that pictures of any size compare."""
    return 1 / max(1, math.prod(shape[1:]))


def gram(f, factor, out):
    """out = factor F F', of one sample."""
    gemm(f, f, out, trans_b=True)
    out *= out.dtype.type(factor)


def gram_back(dgram, f, factor, df):
    """The gradient of `gram` at F: df = factor (dG + dG') F."""
    both = dgram + dgram.T
    both *= both.dtype.type(factor)
    gemm(both, f, df)


def check(layer, shape):
    """Raise unless bottom 0 has channels."""
    if len(shape) < 2:
        raise layer.shape_error(0, shape, "at least 2 axes: (N, C, ...)")
