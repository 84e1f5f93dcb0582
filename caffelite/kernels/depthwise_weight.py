"""The gradient to the weights of a depthwise convolution: sums over planes, see `depthwise`."""

from typing import NamedTuple

from ._depthwise_tiles import depthwise_gradient
from ._jit import kernel, prange

PIXELS = 1 << 14
"""Pixels up to which small images are summed together, before sums are added to dw."""


class Plan(NamedTuple):
    """`parts` threads share the outputs; sums of `images` images are added to dw at a time."""

    batch: int
    group: int
    outputs: int
    kernel_size: int
    height: int  # of x
    width: int
    lines: int  # of y
    columns: int
    stride: int
    pad_h: int
    pad_w: int
    gap_h: int  # between lines of a window
    gap_w: int
    starts: int  # lines of y that begin a set of those that see the same lines of x
    images: int
    parts: int

    way = "depthwise"


def plan(plane):
    """The blocks for a problem that `depthwise.fits`."""
    parts = min(plane.threads_over_values, plane.group * plane.outputs)
    return Plan(
        plane.batch, plane.group, plane.outputs, plane.kernel[0], *plane.size, *plane.out,
        plane.stride[0], *plane.pad, *plane.dilation, min(plane.dilation[0], plane.out[0]),
        max(1, min(plane.batch, PIXELS // plane.pixels)), parts,
    )  # fmt: skip


def add_gradient(x, dy, dw, plan):
    """dw += gradient of sum(dy * conv(x, w)) to w."""
    _add_gradient.on(plan.parts)(x.reshape(-1), dy.reshape(-1), dw.reshape(-1), plan)


@kernel(parallel=True)
def _add_gradient(x, dy, dw, plan, share):
    """A share of the outputs."""
    lines, columns, stride, gap = plan.lines, plan.columns, plan.stride, plan.gap_h
    x_plane, dy_plane = plan.height * plan.width, lines * columns
    channels, positions = plan.group * plan.outputs, plan.kernel_size**2
    for m in prange(channels, share):
        for n in range(0, plan.batch, plan.images):
            for start in range(plan.starts):
                depthwise_gradient(
                    plan.kernel_size, stride, min(plan.images, plan.batch - n),
                    -(-(lines - start) // gap), columns,
                    x, (n * plan.group + m // plan.outputs) * x_plane, plan.group * x_plane,
                    plan.height, plan.width, start * stride - plan.pad_h, -plan.pad_w,
                    gap, plan.gap_w, dy, (n * channels + m) * dy_plane + start * columns,
                    channels * dy_plane, gap * columns, dw, m * positions,
                )  # fmt: skip
