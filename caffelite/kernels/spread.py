"""Planes spread over windows, each by itself: a Deconvolution whose channels do not mix.

x[p, i * stride + k - pad] sums w[p mod channels, k] y[p, i] over i and k, along two axes. In a line
of x, values a stride apart see the same weights: with values of y repeated, and weights that recur,
each a stride long, a line is a sum of products of lines. Threads take whole planes.
"""

from typing import NamedTuple

from ._jit import kernel, prange
from ._workspace import workspace_rows


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


def plan(problem):
    """A thread takes a share of the planes."""
    planes = problem.batch * problem.group
    stride = problem.stride[1]
    turns = -(-problem.kernel[1] // stride)
    line = (turns - 1 + -(-(problem.size[1] + problem.pad[1]) // stride)) * stride
    return Plan(min(problem.usable_threads, planes), line, problem.stride, problem.pad)


def spread(w, y, x, plan):
    """x = planes of y, spread by the weights of their channels; assigned."""
    kernel_h, kernel_w = w.shape[2:]
    turns = -(-kernel_w // plan.stride[1])
    planes, lines = len(x) * x.shape[1], kernel_h * turns + y.shape[2]
    work = workspace_rows(x.dtype, plan.parts, lines * plan.line)
    _spread.on(plan.parts)(
        w.reshape(-1, kernel_h, kernel_w), y.reshape(planes, *y.shape[2:]),
        x.reshape(planes, *x.shape[2:]), *plan.stride, *plan.pad,
        work.reshape(plan.parts, lines, plan.line),
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
def _spread(w, y, x, rows, stride, pad_h, pad_w, work):
    planes, height = x.shape[:2]
    kernel_h = w.shape[1]
    parts, weight_lines = len(work), work.shape[1] - y.shape[1]
    turns = weight_lines // kernel_h
    for part in prange(parts):
        weights, values = work[part, :weight_lines], work[part, weight_lines:]
        for p in range(part * planes // parts, (part + 1) * planes // parts):
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
