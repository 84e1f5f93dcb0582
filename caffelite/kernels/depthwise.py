"""Convolution of each channel by itself: planes of x under windows of 3 x 3 or 5 x 5 values.

There are few products for a value, and so few sums, that reading x and writing y is most of the
work. `multiply` is forward, and with transposed weights the gradient to the input at stride 1.
"""

from typing import NamedTuple

from ._depthwise_tiles import SIZES, depthwise_lines
from ._jit import kernel

OUTPUTS = 4
"""Most outputs of a channel: register tiles of `direct` read it once for more."""
ITEMS = 4
"""Blocks of lines for each thread where there are fewer planes."""
LINES = 8
"""Fewest lines of a block: the next one reads lines at its border again."""


class Plan(NamedTuple):
    """`parts` threads share `items` blocks of lines of planes of y.

    With a dilation, a block has every `gap_h`-th line, which see the same lines of x.
    """

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
    blocks: int  # of each set
    items: int
    parts: int

    way = "depthwise"
    adds = False
    strided = False


def fits(plane):
    """Whether a problem of two axes is one of single channels under windows that there are."""
    if plane is None or plane.inputs > 1 or plane.outputs > OUTPUTS:
        return False
    stride, (rows, columns) = plane.stride, plane.kernel
    steps = stride == (1, 1) or (stride == (2, 2) and plane.dilation == (1, 1))
    return steps and rows == columns and rows in SIZES


def plan(plane):
    """The blocks for a problem that `fits`."""
    threads, planes = plane.threads_over_values, plane.batch * plane.group * plane.outputs
    lines, starts = plane.out[0], min(plane.dilation[0], plane.out[0])
    blocks = -(-ITEMS * threads // (planes * starts)) if threads > 1 else 1
    blocks = max(1, min(blocks, lines // (starts * LINES)))
    items = planes * starts * blocks
    return Plan(
        plane.group, plane.outputs, plane.kernel[0], *plane.size, *plane.out, plane.stride[0],
        *plane.pad, *plane.dilation, starts, blocks, items, min(threads, items),
    )  # fmt: skip


def multiply(x, w, y, plan, weights, epilogue):
    """y = weights times windows of x, and an epilogue; `weights` is the WeightLayout of w."""
    x, w, y = x.reshape(-1), w.reshape(-1), y.reshape(-1)
    _multiply.on(plan.parts)(x, w, y, plan, weights, epilogue)


def pack(w, plan, layout):
    """Weights as they lie: each is read once. A copy, since what is kept may not hold a blob's."""
    return w.copy()


multiply_packed = multiply


@kernel(parallel=True)
def _multiply(x, w, y, plan, weights, epilogue, share):
    """A share of blocks of lines. Planes may be tiny: divisions count beside them, and calls."""
    part, parts = share
    outputs, height, width, columns = plan.outputs, plan.height, plan.width, plan.columns
    blocks, gap, stride = plan.blocks, plan.gap_h, plan.stride
    channels, sets = plan.group * outputs, plan.starts * plan.blocks
    begin, end = part * plan.items // parts, (part + 1) * plan.items // parts
    plane, rest = begin // sets, begin % sets
    channel = plane % channels
    is_plain = sets == 1 and outputs == 1
    while begin < end:
        planes = min(channels - channel, end - begin) if is_plain else 1
        line, count, source, g, m = 0, plan.lines, plane, channel, 0
        if outputs > 1:
            source, g, m = plane // outputs, channel // outputs, channel % outputs
        if sets > 1:
            start, block = rest // blocks, rest % blocks
            each = -(-(plan.lines - start) // gap)
            first = block * each // blocks
            line, count = start + first * gap, (block + 1) * each // blocks - first
        depthwise_lines(
            plan.kernel_size, stride, planes, count, columns,
            w, weights.start + g * weights.group_step + m * weights.output_step,
            weights.group_step, weights.position_step, x, source * height * width, height, width,
            line * stride - plan.pad_h, -plan.pad_w, gap, plan.gap_w,
            epilogue, channel, y, (plane * plan.lines + line) * columns,
            plan.lines * columns, gap * columns,
        )  # fmt: skip
        begin += planes
        rest += 1
        if rest == sets:
            plane, channel, rest = plane + planes, channel + planes, 0
            if channel == channels:
                channel = 0
