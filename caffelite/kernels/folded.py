"""Strided convolution of windows of three strides by Winograd's algorithm.

Values of x whose row and column leave the same rests by the strides are channels of their own, so
that windows of 5 by 5 or 6 by 6 at stride 2 are 3 by 3 ones at stride 1, of four times as many
channels. Where windows are not whole strides long, zeros make them so.
"""

from typing import NamedTuple

import numpy as np

from . import winograd, winograd_weight
from ._jit import kernel, prange
from ._pack import WeightLayout, layout_of
from ._simd import clear

MIN_INPUTS = 16
"""Fewer inputs do not pay for being read twice."""


class Plan(NamedTuple):
    """The convolution at stride 1, that of `winograd` or of `winograd_weight`, and its x: `shape`
    is that of an image of (channels, strides, size)."""

    convolution: tuple
    weights: WeightLayout
    shape: tuple
    pad: tuple
    parts: int

    way = "winograd"
    adds = False
    strided = True


def fits(plane):
    """Whether windows, in the form of `Problem.plane`, are three strides high and wide."""
    if plane is None or plane.stride == (1, 1) or plane.dilation != (1, 1):
        return False
    return all(-(-k // s) == 3 for k, s in zip(plane.kernel, plane.stride, strict=True))


def folded(problem):
    """The convolution at stride 1 of a problem that `fits`."""
    down, aside = problem.stride
    return problem._replace(
        inputs=problem.inputs * down * aside, size=tuple(o + 2 for o in problem.out),
        kernel=(3, 3), stride=(1, 1), pad=(0, 0),
    )  # fmt: skip


def pays(problem, module):
    """Whether the convolution at stride 1 is one that pays by `module`, as x is read twice."""
    return problem.inputs >= MIN_INPUTS and module.pays(folded(problem))


def plan(problem, module):
    """The convolution of a problem that `fits` by `module`: winograd or winograd_weight."""
    of = folded(problem)
    channels = problem.group * problem.inputs
    return Plan(
        module.plan(of), layout_of(of), (channels, *problem.stride, *of.size), problem.pad,
        min(problem.usable_threads, problem.batch * channels),
    )  # fmt: skip


def multiply(x, w, y, plan, weights, epilogue):
    """y = weights times windows of x, and an epilogue; `weights` is the WeightLayout of w."""
    x, w = _fold(x, plan), _fold_weights(w, plan)
    winograd.multiply(x, w, y, plan.convolution, plan.weights, epilogue)


def pack(w, plan, weights):
    """All weights, transformed and packed; `weights` is their WeightLayout."""
    return winograd.pack(_fold_weights(w, plan), plan.convolution, plan.weights)


def multiply_packed(x, packed, y, plan, weights, epilogue):
    """`multiply` by weights that `pack` has transformed."""
    x = _fold(x, plan)
    winograd.multiply_packed(x, packed, y, plan.convolution, plan.weights, epilogue)


def add_gradient(x, dy, dw, plan):
    """dw += gradient of sum(dy * conv(x, w)) to w."""
    _, down, aside, *_ = plan.shape
    outputs, inputs, rows, columns = dw.shape
    there = np.zeros((outputs, inputs * down * aside, 3, 3), dw.dtype)
    winograd_weight.add_gradient(_fold(x, plan), dy, there, plan.convolution)
    unfolded = there.reshape(outputs, inputs, down, aside, 3, 3).transpose(0, 1, 4, 2, 5, 3)
    dw += unfolded.reshape(outputs, inputs, 3 * down, 3 * aside)[:, :, :rows, :columns]


def _fold_weights(w, plan):
    """w[m, (c, r, q), i, j] = w[m, c, i * down + r, j * aside + q], or 0 where there is none."""
    _, down, aside, *_ = plan.shape
    outputs, inputs, rows, columns = w.shape
    whole = np.zeros((outputs, inputs, 3 * down, 3 * aside), w.dtype)
    whole[:, :, :rows, :columns] = w
    split = whole.reshape(outputs, inputs, 3, down, 3, aside).transpose(0, 1, 3, 5, 2, 4)
    return np.ascontiguousarray(split).reshape(outputs, -1, 3, 3)


def _fold(x, plan):
    """x[n, (c, r, q), i, j] = x[n, c, i * down + r - pad, j * aside + q - pad], or 0 outside."""
    channels, down, aside, *size = plan.shape
    made = np.empty((len(x), channels * down * aside, *size), x.dtype)
    stride = down, aside
    _copy.on(plan.parts)(x.reshape(-1), x.shape, stride, plan.pad, made.reshape(-1), tuple(size))
    return made


@kernel(parallel=True)
def _copy(x, shape, stride, pad, made, size, share):
    images, channels, height, width = shape
    (down, aside), (rows, columns) = stride, size
    for p in prange(images * channels, share):
        for r in range(down):
            for q in range(aside):
                to = ((p * down + r) * aside + q) * rows * columns
                clear(rows * columns, made, to)
                first = max(0, -((q - pad[1]) // aside))
                last = min(columns, (width - 1 - q + pad[1]) // aside + 1)
                for i in range(rows):
                    line = i * down + r - pad[0]
                    if 0 <= line < height:
                        source = (p * height + line) * width + q - pad[1]
                        for j in range(first, last):
                            made[to + i * columns + j] = x[source + j * aside]
