"""What layers share whose window slides over any number of spatial axes."""

import math

import numpy as np

from ..base import Layer
from ..options import COMPRESSION, per_axis
from ..reach import spread, window

_PER_SIDE = {
    f"{stem}_{side}" for stem in ("kernel", "stride", "pad", "dilation", "hole") for side in "hw"
}


def window_map(options, over_top=False):
    """The map of `Layer.coordinates` for a window that slides over the bottom, or the top.

    What a window sees stands in its middle.
    """
    per_side = sorted(_PER_SIDE & set(options))
    assert not per_side, f"{per_side} are not supported here; use kernel_size, stride and pad"
    size = np.atleast_1d(options["kernel_size"])
    extent = (size - 1) * np.atleast_1d(options.get("dilation", options.get("hole", 1))) + 1
    stride, pad = (np.atleast_1d(options.get(*item)) for item in (("stride", 1), ("pad", 0)))
    reach, axis = (extent - 1) / 2 - pad, options.get("axis", 1)
    return (axis, stride, reach) if over_top else (axis, 1 / stride, -reach / stride)


class Sliding(Layer):
    """Reads axis, kernel, stride, pad and dilation; gives top sizes; folds batch axes into one."""

    options_field = "convolution_param"
    windows = "bottom"
    drawn_as = "convolution"
    ignored = {
        "convolution_param.force_nd_im2col": "any number of axes goes the same way",
        "convolution_param.sparse_ratio": COMPRESSION,
        "convolution_param.class_num": COMPRESSION,
        "convolution_param.quantize_term": COMPRESSION,
    }

    @classmethod
    def coordinates(cls, options, index):
        return window_map(options, cls.windows == "top")

    def set_geometry(self, shape):
        self.num_axes = len(shape)
        self.axis = self.canonical_axis(self.options.axis, self.num_axes)
        self.channels = shape[self.axis]
        axes = self.num_axes - self.axis - 1
        self.kernel = per_axis(self, "kernel_size", axes, least=1)
        self.stride = per_axis(self, "stride", axes, default=1, least=1)
        self.pad = per_axis(self, "pad", axes, default=0)
        self.dilation = per_axis(self, self._spacing(), axes, default=1, least=1)

    def _spacing(self):
        """The option that has the dilation: DeepLab called it hole, before Caffe had it."""
        names = (field.name.partition("_")[0] for field, _ in self.options.ListFields())
        given = {"dilation", "hole"}.intersection(names)
        if len(given) == 2:
            raise self.error("dilation and hole, its older name, are both given; keep dilation")
        return given.pop() if given else "dilation"

    @staticmethod
    def out_size(size, kernel, stride, pad, dilation):
        """Windows along an axis."""
        room = size + 2 * pad - dilation * (kernel - 1) - 1
        return int(room / stride) + 1  # truncated: room -1 at stride 2 leaves one window

    def top_shape(self, shape, channels):
        """The top's shape, with `channels` on the channel axis, or an error."""
        axis, sizes = self.axis, (self.kernel, self.stride, self.pad, self.dilation)
        if len(shape) != self.num_axes or shape[axis] != self.channels:
            expected = f"{self.num_axes} axes with {self.channels} channels on axis {axis}"
            raise self.shape_error(0, shape, expected)
        space = [self.out_size(*one) for one in zip(shape[axis + 1 :], *sizes, strict=True)]
        if min(space, default=1) < 1:
            made = " x ".join(map(str, space))
            raise self.shape_error(0, shape, f"a larger one: the top would be {made} in space")
        return (*shape[:axis], channels, *space)

    def reach(self, bottom, top):
        if self.axis != 1:
            return None
        geometry = self.kernel, self.stride, self.pad, self.dilation
        return spread(*geometry) if self.windows == "top" else list(map(window, *geometry))

    def fold(self, array):
        """The view of shape (batch, channels, *space): axes before the channels become one."""
        return array.reshape(self.folded(array.shape))

    def folded(self, shape):
        """The shape of `fold`."""
        return (math.prod(shape[: self.axis]), *shape[self.axis :])
