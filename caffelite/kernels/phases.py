"""The gradient to the input of a convolution with strides: one without.

Values of x whose row and column leave the same rests by the strides are a phase. They see the same
weights, every stride-th of a line and column, so that a phase of x is a convolution of y with these
at stride 1. All phases are the channels of one direct convolution, and are then put beside each
other; where windows are not whole strides long, zeros make them so. With padding, some of its
values lie outside of x.
"""

import math
from typing import NamedTuple

import numpy as np

from . import direct
from ._jit import kernel, prange
from ._pack import WeightLayout, layout_of
from ._pairs import copy_pairs
from .epilogue import Epilogue

PIXELS = 8
LEAST = 512
"""Values of a map of y, over all images, for each map and in all, from which on it pays. To copy
weights takes some 3 ns each, and saves an addition for each value of y; but the more maps y has,
the less do additions count beside multiplications."""
MAPS = 64
"""Maps of y up to which it pays with vectors shorter than 64 bytes: there, direct convolution takes
longer beside matrix products, by as much as it saves additions for some 100 maps."""


ZEROS = 1.5
"""Positions of a window with its zeros, for one of the kernel's, up to which it pays."""


class Plan(NamedTuple):
    """The convolution that makes all phases, `shape` its output with (groups, *phases, channels) of
    an image, `first` where its first value lies in x."""

    convolution: direct.Plan
    weights: WeightLayout
    shape: tuple
    first: tuple
    stride: tuple
    parts: int

    way = "phases"


def fits(problem):
    """Whether there are two axes, and direct takes the phases."""
    if len(problem.size) != 2 or set(problem.dilation) != {1} or problem.stride == (1, 1):
        return False
    return direct.fits(_problem(problem).plane())


def pays(problem):
    """Whether windows overlap, need few zeros, and y has many values for its maps."""
    positions = math.prod(count for *_, count in _windows(problem)) * math.prod(problem.stride)
    if problem.positions <= math.prod(problem.stride) or positions > ZEROS * problem.positions:
        return False
    few = problem.outputs <= MAPS or problem.vector_bytes >= 64
    return few and problem.batch * problem.pixels >= max(PIXELS * problem.outputs, LEAST)


def _windows(problem):
    """Along each axis (the first window, how many, positions of the kernel in one phase)."""
    for k, s, p, size in zip(*problem[6:9], problem.size, strict=True):
        yield p // s, (size - 1 + p) // s - p // s + 1, -(-k // s)


def _problem(problem):
    """The convolution of y that makes all phases of x."""
    first, count, kernel_shape = zip(*_windows(problem), strict=True)
    return problem._replace(
        inputs=problem.outputs, outputs=problem.inputs * math.prod(problem.stride),
        size=problem.out, out=count, kernel=kernel_shape, stride=(1, 1),
        pad=tuple(k - 1 - i for k, i in zip(kernel_shape, first, strict=True)),
    )  # fmt: skip


def plan(problem):
    """The one convolution of a problem that `fits`."""
    phases = _problem(problem)
    first, count, _ = zip(*_windows(problem), strict=True)
    places = zip(first, problem.stride, problem.pad, strict=True)
    planes = problem.batch * problem.group * problem.inputs
    return Plan(
        direct.plan(phases.plane()), layout_of(phases),
        (problem.group, *problem.stride, problem.inputs, *count),
        tuple(i * s - p for i, s, p in places), problem.stride,
        min(problem.usable_threads, planes),
    )  # fmt: skip


def scatter(w, dy, dx, plan):
    """dx = gradient of sum(dy * conv(x, w)) to x; assigned."""
    group, down, aside, inputs, *_ = plan.shape
    rows, columns = w.shape[2:]
    if rows % down or columns % aside:
        w = np.pad(w, [(0, 0), (0, 0), (0, -rows % down), (0, -columns % aside)])
    split = w.reshape(
        group, -1, inputs, w.shape[2] // down, down, w.shape[3] // aside, aside
    )[:, :, :, ::-1, :, ::-1]  # fmt: skip
    weights = np.ascontiguousarray(split.transpose(0, 4, 6, 2, 1, 3, 5))
    phases = np.empty((len(dx), *plan.shape), dx.dtype)
    plain = Epilogue.of(dx.dtype, group * down * aside * inputs)
    direct.multiply(dy, weights, phases, plan.convolution, plan.weights, plain)
    _join.on(plan.parts)(
        phases.reshape(-1), phases.shape, *plan.first, dx.reshape(-1), dx.shape[2:]
    )


@kernel(parallel=True)
def _join(phases, shape, first_row, first_column, x, size, share):
    """x[n, g, c, i * down + r + first_row, ...] = phases[n, g, r, ..., c, i, ...]"""
    images, group, down, aside, inputs, rows, columns = shape
    height, width = size
    plane = rows * columns
    planes = images * group * inputs
    for p in prange(planes, share):
        ng, c = p // inputs, p % inputs
        for line in range(height):
            i, r = (line - first_row) // down, (line - first_row) % down
            at = ((ng * down + r) * aside * inputs + c) * plane + i * columns
            to = (p * height + line) * width
            if aside == 2:
                _join_two(phases, at, inputs * plane, first_column, width, x, to)
                continue
            for q in range(aside):
                source = at + q * inputs * plane
                j = 0 if first_column + q >= 0 else 1
                target = to + first_column + q + j * aside
                count = -((first_column + q - width) // aside)
                for k in range(count - j):  # few: not worth a call of `copy`
                    x[target + k * aside] = phases[source + j + k]


@kernel
def _join_two(phases, at, step, first, width, x, to):
    """A line of x: values of two phases take turns, from the second one on if `first` is -1."""
    one, two = at, at + step
    if first < 0:
        x[to] = phases[two]
        one, two = one + 1, two + 1
    count = (width + first) // 2
    copy_pairs(count, phases, one, phases, two, x, to - first)
    if (width + first) % 2:
        x[to + width - 1] = phases[one + count]
