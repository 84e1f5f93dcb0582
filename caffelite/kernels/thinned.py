"""Strided convolution of windows of one pixel without strides: of the pixels that they look at.

They are copied side by side before; their gradient is spread, with zeros between, after.
"""

from typing import NamedTuple

import numpy as np

from . import direct_weight, pointwise
from ._jit import kernel, prange
from ._pack import WeightLayout, pack_tiles, transposed_layout
from ._pairs import first_of_pairs, pairs_with_zeros
from ._simd import clear, copy
from .epilogue import Epilogue


class Plan(NamedTuple):
    """The convolution at stride 1, that of `pointwise` or of `direct_weight`, and its pixels."""

    convolution: tuple
    transposed: WeightLayout  # of the weights, for the gradient to the input
    stride: tuple
    out: tuple
    parts: int

    adds = True
    strided = True

    @property
    def way(self):
        """That of the convolution."""
        return self.convolution.way


def fits(plane):
    """Whether windows, in the form of `Problem.plane`, are of one pixel, and have strides."""
    if plane is None or plane.stride == (1, 1):
        return False
    return plane.kernel == (1, 1) and plane.pad == (0, 0)


def dense(problem):
    """The convolution at stride 1 of a problem that `fits`."""
    return problem._replace(size=problem.out, stride=(1, 1)).plane()


def plan(problem, module):
    """The convolution of a problem that `fits` by `module`, pointwise or direct_weight."""
    return _plan(problem, module.plan(dense(problem)))


def plan_back(problem):
    """The gradient to the input of a problem that `fits`."""
    return _plan(problem, pointwise.plan(dense(problem).transposed()))


def _plan(problem, convolution):
    layout = transposed_layout(problem)
    return Plan(convolution, layout, problem.stride, problem.out, problem.threads_over_values)


def multiply(x, w, y, plan, weights, epilogue):
    """y = weights times pixels of x, and an epilogue; `weights` is the WeightLayout of w."""
    pointwise.multiply(_thin(x, plan), w, y, plan.convolution, weights, epilogue)


def pack(w, plan, weights):
    """All weights, packed; `weights` is their WeightLayout."""
    return pack_tiles(w, plan.convolution, weights)


def multiply_packed(x, packed, y, plan, weights, epilogue, addend=None):
    """`multiply` by weights that are packed; adds `addend`, if any, before the activation."""
    x = _thin(x, plan)
    pointwise.multiply_packed(x, packed, y, plan.convolution, weights, epilogue, addend)


def add_gradient(x, dy, dw, plan):
    """dw += gradient of sum(dy * conv(x, w)) to w."""
    direct_weight.add_gradient(_thin(x, plan), dy, dw, plan.convolution)


def scatter(w, dy, dx, plan):
    """dx = gradient of sum(dy * conv(x, w)) to x; assigned."""
    pixels = np.empty((*dx.shape[:2], *plan.out), dx.dtype)
    plain = Epilogue.of(dx.dtype, dx.shape[1])
    pointwise.multiply(dy, w, pixels, plan.convolution, plan.transposed, plain)
    _widen.on(plan.parts)(_planes(pixels), plan.stride, _planes(dx))


def _thin(x, plan):
    """x[n, c, i * down, j * across]"""
    made = np.empty((*x.shape[:2], *plan.out), x.dtype)
    _copy.on(plan.parts)(_planes(x), plan.stride, _planes(made))
    return made


def _planes(array):
    return array.reshape(array.shape[0] * array.shape[1], -1, array.shape[-1])


@kernel(parallel=True)
def _copy(x, stride, y, share):
    """y = every so many lines and columns of x."""
    (planes, height, width), lines, columns = y.shape, x.shape[1], x.shape[2]
    down, across = stride
    flat_x, flat_y = x.reshape(-1), y.reshape(-1)
    for p in prange(planes, share):
        at, to = p * lines * columns, p * height * width
        if across == 2:
            first_of_pairs(height, width, flat_x, at, down * columns, flat_y, to)
        else:
            for i in range(height):
                source = at + i * down * columns
                copy(width, flat_x, source, across, flat_y, to + i * width, 1)


@kernel(parallel=True)
def _widen(y, stride, x, share):
    """x = y at every so many lines and columns, 0 elsewhere."""
    (planes, height, width), lines, columns = y.shape, x.shape[1], x.shape[2]
    down, across = stride
    flat_x, flat_y = x.reshape(-1), y.reshape(-1)
    for p in prange(planes, share):
        at, to = p * height * width, p * lines * columns
        clear(lines * columns, flat_x, to)
        if across == 2:
            pairs_with_zeros(height, width, flat_y, at, flat_x, to, down * columns, columns)
        else:
            for i in range(height):
                target = to + i * down * columns
                copy(width, flat_y, at + i * width, 1, flat_x, target, across)
