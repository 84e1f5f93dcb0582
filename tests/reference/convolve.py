"""Convolution and its gradients, one output position at a time."""

import numpy as np

from caffelite.kernels._simd import lane_count

from .epilogue import forward as apply
from .im2col import inside, padded, window_of


def _positions(x, w, y, stride, dilation, group):
    """For each group and output position: indices of the window in x, of w and of y."""
    inputs, outputs = w.shape[1], w.shape[0] // group
    for g in range(group):
        channels, filters = (slice(g * n, (g + 1) * n) for n in (inputs, outputs))
        for at in np.ndindex(y.shape[2:]):
            window = window_of(at, w.shape[2:], stride, dilation)
            yield (slice(None), channels, *window), filters, (slice(None), filters, *at)


def flat(x):
    return x.reshape(x.shape[0], -1)


def forward(x, w, y, stride, pad, dilation, group=1, epilogue=None):
    x = padded(x, pad, 2)
    for window, filters, at in _positions(x, w, y, stride, dilation, group):
        y[at] = flat(x[window]) @ flat(w[filters]).T
    if epilogue is not None:
        y[...] = apply(y, epilogue)


def forward_kept(x, w_shape, y, stride, pad, dilation, group, epilogue, keep):
    w = keep(lambda w: w, "as they are").reshape(w_shape)
    forward(x, w, y, stride, pad, dilation, group, epilogue)


def forward_laned(x, w_shape, y, stride, pad, dilation, group, epilogue, keep):
    planes = np.empty_like(y)
    forward_kept(x, w_shape, planes, stride, pad, dilation, group, epilogue, keep)
    y[...] = laned(planes)


def laned(x):
    """x with as many channels side by side as a vector has lanes."""
    (n, c, *space), lanes = x.shape, lane_count(x)
    by_set = x.reshape(n, c // lanes, lanes, *space)
    return np.moveaxis(by_set, 2, -1).reshape(x.shape)


def forward_separable(x, y, plans, epilogues, keep):
    blocks = plans[0].forward
    first, then = (keep_one(lambda w: w, "as they are") for keep_one in keep)
    between = np.empty((len(x), blocks.group, blocks.lines, blocks.columns), x.dtype)
    geometry = (blocks.stride, blocks.stride), (blocks.pad_h, blocks.pad_w), (1, 1)
    forward(x, first, between, *geometry, blocks.group, epilogues[0])
    forward(between, then, y, (1, 1), (0, 0), (1, 1), 1, epilogues[1])


def backward_input(w, dy, dx, stride, pad, dilation, group=1):
    big = padded(np.zeros_like(dx), pad, 2)
    for window, filters, at in _positions(big, w, dy, stride, dilation, group):
        big[window] += np.tensordot(dy[at], w[filters], 1)
    dx[...] = inside(big, pad, 2)


def backward_weight(x, dy, dw, stride, pad, dilation, group=1):
    x = padded(x, pad, 2)
    for window, filters, at in _positions(x, dw, dy, stride, dilation, group):
        dw[filters] += np.tensordot(dy[at].T, x[window], 1)
