"""Planes spread over windows, each by itself: a Deconvolution whose channels do not mix.

x[p, i * stride + k - pad] sums w[p mod channels, k] y[p, i] over i and k, along two axes. In a line
of x, values a stride apart see the same weights: with values of y repeated, and weights that recur,
each a stride long, a line is a sum of products of lines. At a stride of 2, a line is two sums of
lines of y, each times a weight, whose values take turns; windows of a few values have vectors that
go down planes, see `_depthwise_tiles`. Threads take whole planes.
"""

from typing import NamedTuple

from ._depthwise_tiles import SPREAD_SIZES, depthwise_spread
from ._jit import kernel, prange
from ._pairs import spread_pairs
from ._simd import clear, copy, lanes
from ._vectors import VECTOR_BYTES
from ._workspace import workspace_rows

EXTRA = 4
"""Multiplications for each product up to which it pays: all others are with zeros."""
WORK = 1 << 22
"""Values of weights that recur and of lines of y up to which there is memory for them."""


class Plan(NamedTuple):
    """So many threads, and values of a line: as many strides as a window has, one less, and x."""

    parts: int
    line: int
    stride: tuple
    pad: tuple

    way = "spread"


def fits(problem):
    """Whether each plane of x is made of one of y, with two axes and no dilation."""
    alone = problem.inputs == problem.outputs == 1
    return alone and len(problem.size) == 2 and set(problem.dilation) == {1}


def pays(problem):
    """Whether lines of y are not much shorter than those of x, which are not too long."""
    lines = problem.kernel[0] * -(-problem.kernel[1] // problem.stride[1]) + problem.out[0]
    few = problem.size[1] <= EXTRA * problem.stride[1] * problem.out[1]
    return few and lines * _line(problem) <= WORK


def _line(problem):
    stride = problem.stride[1]
    turns = -(-problem.kernel[1] // stride)
    return (turns - 1 + -(-(problem.size[1] + problem.pad[1]) // stride)) * stride


def plan(problem):
    """A thread takes a share of the planes."""
    planes = problem.batch * problem.group
    parts = min(problem.threads_over_values, planes)
    return Plan(parts, _line(problem), problem.stride, problem.pad)


def scatter(w, y, x, plan):
    """x = planes of y, spread by the weights of their channels; assigned."""
    kernel_h, kernel_w = w.shape[2:]
    if plan.stride == (2, 2) and kernel_h == kernel_w and kernel_h in SPREAD_SIZES:
        shapes = y.shape[2:], x.shape[2:]
        _spread_square.on(plan.parts)(
            w.reshape(-1), y.reshape(-1), x.reshape(-1), w.shape, *shapes, *plan.pad
        )
        return
    turns = -(-kernel_w // plan.stride[1])
    planes, lines = len(x) * x.shape[1], kernel_h * turns + y.shape[2]
    w, y = w.reshape(-1, kernel_h, kernel_w), y.reshape(planes, *y.shape[2:])
    x = x.reshape(planes, *x.shape[2:])
    if plan.stride[1] == 2:
        count = plan.line // 2  # of pairs in a line, and turns - 1 before it
        vector = VECTOR_BYTES // x.itemsize
        size = 2 * turns * kernel_h + y.shape[1] * count + 2 * count + 3 * vector
        work = workspace_rows(x.dtype, plan.parts, size)
        _spread_two.on(plan.parts)(w, y, x, plan.stride[0], *plan.pad, count, work)
        return
    work = workspace_rows(x.dtype, plan.parts, lines * plan.line)
    _spread.on(plan.parts)(
        w, y, x, *plan.stride, *plan.pad, work.reshape(plan.parts, lines, plan.line)
    )


@kernel(parallel=True)
def _spread_square(w, y, x, w_shape, y_shape, x_shape, pad_h, pad_w, share):
    """A share of the planes."""
    channels, _, size, _ = w_shape
    (lines, columns), (height, width) = y_shape, x_shape
    planes = len(x) // (height * width)
    for p in prange(planes, share):
        depthwise_spread(
            size, w, p % channels * size * size, y, p * lines * columns, lines, columns,
            pad_h, pad_w, x, p * height * width, height, width,
        )  # fmt: skip


@kernel
def _repeat(y, stride, before, lines):
    """Each value of y `stride` times, and zeros before and behind."""
    columns = min(y.shape[1], (lines.shape[1] - before) // stride)
    for i in range(len(y)):
        lines[i, :before] = 0
        for j in range(columns):
            for at in range(before + j * stride, before + (j + 1) * stride):
                lines[i, at] = y[i, j]
        lines[i, before + columns * stride :] = 0


@kernel
def _recur(w, stride, lines):
    """The weights of each stride of columns, again and again: a line for each line and stride."""
    kernel_h, kernel_w = w.shape
    turns = len(lines) // kernel_h
    for k in range(kernel_h):
        for turn in range(turns):
            given = kernel_w - turn * stride
            line = lines[k * turns + turn]
            for at in range(0, len(line), stride):
                for j in range(stride):
                    line[at + j] = w[k, turn * stride + j] if j < given else 0


@kernel
def _one(a, u, add, x):
    """x = a u, or with `add` x += a u"""
    if add:
        for j in range(len(x)):
            x[j] += a[j] * u[j]
    else:
        for j in range(len(x)):
            x[j] = a[j] * u[j]


@kernel
def _two(a, u, b, v, add, x):
    """x = a u + b v, or with `add` x += a u + b v"""
    if add:
        for j in range(len(x)):
            x[j] += a[j] * u[j] + b[j] * v[j]
    else:
        for j in range(len(x)):
            x[j] = a[j] * u[j] + b[j] * v[j]


@kernel(parallel=True)
def _spread(w, y, x, rows, stride, pad_h, pad_w, work, share):
    part = share[0]
    planes, height = x.shape[:2]
    kernel_h = w.shape[1]
    weight_lines = work.shape[1] - y.shape[1]
    turns = weight_lines // kernel_h
    weights, values = work[part, :weight_lines], work[part, weight_lines:]
    for p in prange(planes, share):
        _recur(w[p % len(w)], stride, weights)
        _repeat(y[p], stride, (turns - 1) * stride, values)
        for i in range(height):
            above = i + pad_h
            low = max(0, -((kernel_h - 1 - above) // rows))
            high = min(above // rows + 1, y.shape[1])
            if low >= high:
                x[p, i] = 0
            for j in range(low, high):
                k, add = (above - j * rows) * turns, j > low
                for turn in range(0, turns - 1, 2):
                    at = pad_w + (turns - 1 - turn) * stride
                    _two(
                        weights[k + turn, pad_w:], values[j, at:],
                        weights[k + turn + 1, pad_w:], values[j, at - stride :], add, x[p, i],
                    )  # fmt: skip
                    add = True
                if turns % 2:
                    _one(weights[k + turns - 1, pad_w:], values[j, pad_w:], add, x[p, i])


@kernel(parallel=True)
def _spread_two(w, y, x, rows, pad_h, pad_w, line, work, share):
    """A part's work: its weights in pairs, lines of y, `line` long and with zeros, a line of x."""
    part = share[0]
    planes, height, width = x.shape
    kernel_h, kernel_w = w.shape[1:]
    lines, columns = y.shape[1:]
    turns = (kernel_w + 1) // 2
    given = min(columns, line - (turns - 1))
    values_at = 2 * turns * kernel_h
    out_at = values_at + lines * line + lanes(x)
    flat_w, flat_y, flat_x, flat = w.ravel(), y.ravel(), x.ravel(), work.ravel()
    at = part * work.shape[1]
    clear(values_at + lines * line, flat, at)
    for p in prange(planes, share):
        for k in range(kernel_h):
            source = (p % len(w) * kernel_h + k) * kernel_w
            copy(kernel_w, flat_w, source, 1, flat, at + 2 * turns * k, 1)
        for i in range(lines):
            to = at + values_at + i * line + turns - 1
            copy(given, flat_y, (p * lines + i) * columns, 1, flat, to, 1)
        for i in range(height):
            above = i + pad_h
            low = max(0, -((kernel_h - 1 - above) // rows))
            high = min(above // rows + 1, lines)
            spread_pairs(
                max(high - low, 0), turns, line - (turns - 1),
                flat, at + 2 * turns * (above - low * rows), -2 * turns * rows,
                flat, at + values_at + low * line + turns - 1, line, flat, at + out_at,
            )  # fmt: skip
            copy(width, flat, at + out_at + pad_w, 1, flat_x, (p * height + i) * width, 1)
