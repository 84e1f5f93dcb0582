import numpy as np

from ..base import Layer, register


@register("Flip")
class Flip(Layer):
    """y[h, w] = x[H - 1 - h, W - 1 - w], or with one of the two backwards alone: mirrored maps.

    Bottom
        0: x, (N, C, H, W)
    Top
        0: y, the shape of x
    Options (flip_param)
        flip_width: the columns backwards [true]
        flip_height: the rows backwards [false]
    """

    options_field = "flip_param"

    def infer_shapes(self, bottom_shapes):
        if len(bottom_shapes[0]) != 4:
            raise self.shape_error(0, bottom_shapes[0], "4 axes: (N, C, H, W)")
        return bottom_shapes

    def _flipped(self, x):
        axes = ((2, self.options.flip_height), (3, self.options.flip_width))
        return np.flip(x, [axis for axis, wanted in axes if wanted])

    def forward(self, bottom, top):
        top[0].data[...] = self._flipped(bottom[0].data)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = self._flipped(top[0].diff)
