import numpy as np

from ..base import Layer, register
from ..reach import Reach


@register("ReflectionPad")
class ReflectionPad(Layer):
    """y = x with a border in which x is mirrored: y[i] = x[|i - p|] before, likewise behind.

    The outermost row of x is the mirror, and is not repeated.

    Bottom
        0: x, (N, C, H, W)
    Top
        0: y, (N, C, H + 2 p, W + 2 p)
    Options (reflection_pad_param)
        pad: p, below H and W; must be given
    Source
        Johnson, Alahi, Fei-Fei 2016, arXiv:1603.08155 (before the net that transforms a picture)
    """

    drawn_as = "other"
    options_field = "reflection_pad_param"

    def setup(self, bottom_shapes):
        self.pad = self.options.pad
        if self.pad < 1:
            raise self.error("pad is missing or 0, expected at least 1")

    def infer_shapes(self, bottom_shapes):
        shape, pad = bottom_shapes[0], self.pad
        if len(shape) != 4:
            raise self.shape_error(0, shape, "4 axes: (N, C, H, W)")
        if min(shape[2:]) <= pad:
            raise self.shape_error(0, shape, f"more rows and columns than the pad, {pad}")
        return [(*shape[:2], shape[2] + 2 * pad, shape[3] + 2 * pad)]

    def reach(self, bottom, top):
        pad = self.pad  # y[i] sees x[i - p]; in the border, what is mirrored, 2 p away at most
        return [Reach((-3 * pad,), (pad,), 1)] * 2

    def forward(self, bottom, top):
        x, y, pad = bottom[0].data, top[0].data, self.pad
        y[:, :, pad:-pad, pad:-pad] = x
        for side in (y[:, :, :, pad:-pad], y.swapaxes(2, 3)):  # rows, then whole columns
            side[:, :, :pad] = side[:, :, 2 * pad : pad : -1]
            side[:, :, -pad:] = side[:, :, -pad - 2 : -2 * pad - 2 : -1]

    def backward(self, top, propagate_down, bottom):
        if not propagate_down[0]:
            return
        columns = self._folded(top[0].diff.swapaxes(2, 3)).swapaxes(2, 3)
        bottom[0].diff[...] = self._folded(columns)

    def _folded(self, dy):
        """dy without the border of axis 2, which is added where it was mirrored from."""
        pad = self.pad
        dx = np.array(dy[:, :, pad:-pad])
        dx[:, :, 1 : pad + 1] += dy[:, :, :pad][:, :, ::-1]
        dx[:, :, -pad - 1 : -1] += dy[:, :, -pad:][:, :, ::-1]
        return dx
