"""Windows of one image as columns, and their sum back: one output position at a time."""

import numpy as np


def window_of(at, kernel_shape, stride, dilation):
    """Slices of the padded image that output position `at` looks at."""
    return tuple(
        slice(o * s, o * s + (k - 1) * d + 1, d)
        for o, k, s, d in zip(at, kernel_shape, stride, dilation, strict=True)
    )


BEYOND = 10


def padded(x, pad, leading):
    """x with zeros around its axes after the first `leading`; windows may end beyond the pad."""
    return np.pad(x, [(0, 0)] * leading + [(p, p + BEYOND) for p in pad])


def inside(padded_x, pad, leading):
    """The image within a padded one."""
    middle = (slice(p, -p - BEYOND) for p in pad)
    return padded_x[(slice(None),) * leading + tuple(middle)]


def im2col(x, col, kernel_shape, stride, pad, dilation):
    big = padded(x, pad, 1)
    for at in np.ndindex(col.shape[1 + len(kernel_shape) :]):
        window = big[(slice(None), *window_of(at, kernel_shape, stride, dilation))]
        col[(..., *at)] = window


def col2im(col, x, kernel_shape, stride, pad, dilation):
    big = padded(np.zeros_like(x), pad, 1)
    for at in np.ndindex(col.shape[1 + len(kernel_shape) :]):
        big[(slice(None), *window_of(at, kernel_shape, stride, dilation))] += col[(..., *at)]
    x[...] = inside(big, pad, 1)
