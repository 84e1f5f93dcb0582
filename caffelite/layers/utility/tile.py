import math

import numpy as np

from ..base import Layer, register


@register("Tile")
class Tile(Layer):
    """y is x, `tiles` times one behind the other along an axis.

    Bottom
        0: x, any shape with that axis
    Top
        0: y
    Options (tile_param)
        axis: along which one, negative: from the end [1]
        tiles: how many times
    """

    options_field = "tile_param"
    keeps_space = True

    def setup(self, bottom_shapes):
        if self.options.tiles < 1:
            raise self.error(f"tiles: expected at least 1, not {self.options.tiles}")

    def infer_shapes(self, bottom_shapes):
        shape = list(bottom_shapes[0])
        shape[self.canonical_axis(self.options.axis, len(shape))] *= self.options.tiles
        return [tuple(shape)]

    def _views(self, x, y):
        """x and y as (axes before, 1 or tiles, the rest), which repeat against each other."""
        axis = self.canonical_axis(self.options.axis, x.ndim)
        before, rest = math.prod(x.shape[:axis]), math.prod(x.shape[axis:])
        return x.reshape(before, 1, rest), y.reshape(before, self.options.tiles, rest)

    def forward(self, bottom, top):
        x, y = self._views(bottom[0].data, top[0].data)
        y[...] = x

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            dx, dy = self._views(bottom[0].diff, top[0].diff)
            np.sum(dy, axis=1, keepdims=True, out=dx)
