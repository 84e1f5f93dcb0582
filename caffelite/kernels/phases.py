"""The gradient to the input of a convolution with strides: one without.

Values of x whose row and column leave the same rests by the strides are a phase. They see the same
weights, every stride-th of a line and column, so that a phase of x is a convolution of y with these
at stride 1. All phases are the channels of one convolution, or each has its own, and they are then
put beside each other. Where windows are not whole strides long, phases see unequally many weights:
in one convolution, zeros make up for these. With padding, some values of phases lie outside of x.
"""

import math
from itertools import product
from typing import NamedTuple

import numpy as np

from . import direct, winograd
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
SHORT_MAPS = 256
"""As MAPS, where lines of y are shorter than a vector: additions take longer there."""

ZEROS = 1.5
"""Positions of a window with its zeros, for one of the kernel's, up to which it pays."""

ROWS = 8
"""Outputs up to which a convolution takes as long as one of so many."""

FEWER = 0.8
"""Products of convolutions apart, for one of that together, up to which they pay, being many."""

_MULTIPLY = {module.Plan: module.multiply for module in (direct, winograd)}


class Part(NamedTuple):
    """The convolution that makes the phases of these rows and columns, each a slice; its windows
    are so many weights high and wide."""

    rows: slice
    columns: slice
    window: tuple
    convolution: tuple  # the Plan of direct or winograd
    weights: WeightLayout


class Plan(NamedTuple):
    """The convolutions that make all phases, `shape` their output with (groups, *phases, channels)
    of an image, `first` where its first value lies in x."""

    made: tuple
    shape: tuple
    first: tuple
    stride: tuple
    parts: int

    way = "phases"


def fits(problem):
    """Whether there are two axes, and direct takes the phases."""
    if len(problem.size) != 2 or set(problem.dilation) != {1} or problem.stride == (1, 1):
        return False
    return direct.fits(together(problem).plane())


def pays(problem, by_winograd):
    """Whether windows overlap, need few zeros, and y has many values for its maps."""
    positions = together(problem).positions * math.prod(problem.stride)
    if problem.positions <= math.prod(problem.stride) or positions > ZEROS * problem.positions:
        return False
    most = SHORT_MAPS if problem.out[1] < problem.lanes else MAPS
    few = by_winograd or problem.outputs <= most or problem.vector_bytes >= 64
    return few and problem.batch * problem.pixels >= max(PIXELS * problem.outputs, LEAST)


def _first(problem):
    """Along each axis the first window that begins at or before a value of x, or would."""
    return tuple(p // s for p, s in zip(problem.pad, problem.stride, strict=True))


def _making(problem, phases, kernel_shape):
    """The convolution of y that makes so many phases of x, of windows of these weights."""
    first = _first(problem)
    axes = zip(problem.size, problem.stride, problem.pad, first, strict=True)
    return problem._replace(
        inputs=problem.outputs, outputs=problem.inputs * phases, size=problem.out,
        out=tuple((size - 1 + p) // s - i + 1 for size, s, p, i in axes),
        kernel=kernel_shape, stride=(1, 1),
        pad=tuple(k - 1 - i for k, i in zip(kernel_shape, first, strict=True)),
    )  # fmt: skip


def together(problem):
    """The convolution of y that makes all phases of x."""
    axes = zip(problem.kernel, problem.stride, strict=True)
    return _making(problem, math.prod(problem.stride), tuple(-(-k // s) for k, s in axes))


def _apart(problem):
    """{(row, column) of a phase: the convolution of y that makes it}"""
    (height, width), (down, aside) = problem.kernel, problem.stride
    return {
        (r, q): _making(problem, 1, ((height - r - 1) // down + 1, (width - q - 1) // aside + 1))
        for r, q in product(range(down), range(aside))
    }


def _fewer_products(one, each):
    """Whether convolutions apart, all of which can be, multiply less than one together."""
    if one.group > 1 or not all(
        min(of.pad) >= 0 < min(of.kernel) and direct.fits(of.plane()) for of in each
    ):
        return False

    def products(of):
        return max(of.outputs, ROWS) * of.positions

    return sum(map(products, each)) <= FEWER * products(one)


def plan(problem, by_winograd):
    """The convolution of a problem that `fits`, by Winograd's algorithm, or direct ones."""
    one, way = together(problem), winograd if by_winograd else direct
    if not by_winograd and _fewer_products(one, (each := _apart(problem)).values()):
        made = [(slice(r, r + 1), slice(q, q + 1), of) for (r, q), of in each.items()]
    else:
        made = [(slice(None), slice(None), one)]
    places = zip(_first(problem), problem.stride, problem.pad, strict=True)
    planes = problem.batch * problem.group * problem.inputs
    return Plan(
        tuple(
            Part(rows, columns, of.kernel, way.plan(of.plane()), layout_of(of))
            for rows, columns, of in made
        ),
        (problem.group, *problem.stride, problem.inputs, *one.out),
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
    )[:, :, :, ::-1, :, ::-1].transpose(0, 4, 6, 2, 1, 3, 5)  # fmt: skip
    phases = np.empty((len(dx), *plan.shape), dx.dtype)
    for part in plan.made:
        height, width = part.window  # the zeros come first
        weights = split[:, part.rows, part.columns, :, :, -height:, -width:]
        made = phases[:, :, part.rows, part.columns]
        plain = Epilogue.of(dx.dtype, made[0, ..., 0, 0].size)
        multiply = _MULTIPLY[type(part.convolution)]
        multiply(dy, np.ascontiguousarray(weights), made, part.convolution, part.weights, plain)
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
