"""Pooling methods as Pooling and SPP use them: on planes, with a window (see kernels.pooling).

Each is made for one layer and keeps from `forward` what its `backward` cannot see otherwise. The
layer holds it, so that it may not hold the layer: both are to go as soon as their net does.
"""

import weakref

import numpy as np

from ...kernels import pooling
from ..base import TRAIN


def out_shape(layer, in_shape, window, floor=False):
    """(rows, columns) of the top for planes of `in_shape`, or the layer's error."""
    padded = any(window[4:])  # along either axis, as in Caffe
    sizes = []
    for axis, name in enumerate(("height", "width")):
        size, (kernel, stride, pad) = in_shape[axis], window[axis::2]
        room = size + 2 * pad - kernel
        out = (room // stride if floor else -(-room // stride)) + 1
        if padded and (out - 1) * stride >= size + pad:
            out -= 1  # the last window would lie beyond the values
        if out < 1:
            raise layer.error(
                f"{name}: a window of {kernel} does not fit into {size} with pad {pad}"
            )
        if (out - 1) * stride >= size + pad:
            raise layer.error(
                f"{name}: the last window would start at {(out - 1) * stride - pad}, beyond the "
                f"{size} values of the bottom; round_mode: FLOOR leaves it out"
            )
        sizes.append(out)
    return tuple(sizes)


class Max:
    """The largest value of each window."""

    def __init__(self, layer):
        self.layer = weakref.proxy(layer)

    def forward(self, x, window, y):
        if self.layer.needs_backward or self.layer.num_tops > 1:
            if np.shape(getattr(self, "argmax", 0)) != y.shape:
                self.argmax = np.empty(y.shape, np.int32)
            pooling.max_forward(x, window, y, self.argmax)
        else:
            pooling.max_values(x, window, y)

    def backward(self, x, window, y, dy, dx):
        pooling.max_backward(dy, self.argmax, dx)


class Average:
    """The mean of each window, padding included."""

    def __init__(self, layer):
        pass

    def forward(self, x, window, y):
        pooling.average_forward(x, window, y)

    def backward(self, x, window, y, dy, dx):
        pooling.average_backward(dy, window, dx)


class Stochastic:
    """TRAIN: a value drawn in proportion to the values. TEST: what that gives on average.

    The layer says in `samples` of how many samples the planes are.
    """

    def __init__(self, layer):
        self.layer = weakref.proxy(layer)

    def forward(self, x, window, y):
        if self.layer.phase == TRAIN:
            samples = self.layer.samples
            draws = self.layer.chances((samples, len(y) // max(1, samples), *y.shape[1:]))
            draws = draws.reshape(y.shape).astype(y.dtype, copy=False)
            self.place = np.empty(y.shape, np.int32)
            pooling.draw_forward(x, window, draws, y, self.place)
        else:
            pooling.expected_forward(x, window, y)

    def backward(self, x, window, y, dy, dx):
        if self.layer.phase == TRAIN:
            pooling.max_backward(dy, self.place, dx)
        else:
            pooling.expected_backward(x, y, dy, window, dx)


class L2:
    """The root of the sum of squares of each window."""

    def __init__(self, layer):
        pass

    def forward(self, x, window, y):
        pooling.l2_forward(x, window, y)

    def backward(self, x, window, y, dy, dx):
        pooling.l2_backward(x, y, dy, window, dx)


METHODS = {"MAX": Max, "AVE": Average, "STOCHASTIC": Stochastic, "L2": L2}
