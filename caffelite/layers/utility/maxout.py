import math

import numpy as np

from ..base import Layer, register


@register("Maxout")
class Maxout(Layer):
    """y = the largest of num_pieces values of x, which lie a top's length apart along an axis.

    The same as a Slice into num_pieces tops and an Eltwise MAX of these; gradients go to the
    winner, of equals the first.

    Bottom
        0: x, any shape with a multiple of num_pieces along the axis
    Top
        0: y, along the axis as many values less
    Options (maxout_param)
        num_pieces: how many values compete [2]
        axis: negative: from the end [1]
    Source
        Goodfellow, Warde-Farley, Mirza, Courville, Bengio 2013, arXiv:1302.4389
    """

    options_field = "maxout_param"
    keeps_space = True

    def infer_shapes(self, bottom_shapes):
        shape, pieces = list(bottom_shapes[0]), self.options.num_pieces
        axis = self.canonical_axis(self.options.axis, len(shape))
        if pieces == 0 or shape[axis] % pieces:
            raise self.shape_error(0, shape, f"a multiple of num_pieces {pieces} along axis {axis}")
        shape[axis] //= pieces
        return [tuple(shape)]

    def _pieces(self, x):
        """x as (axes before, pieces, the rest)."""
        axis = self.canonical_axis(self.options.axis, x.ndim)
        pieces = self.options.num_pieces
        return x.reshape(math.prod(x.shape[:axis]), pieces, math.prod(x.shape[axis:]) // pieces)

    def forward(self, bottom, top):
        x = self._pieces(bottom[0].data)
        self.winner = x.argmax(axis=1)[:, None]
        top[0].data[...] = np.take_along_axis(x, self.winner, 1).reshape(top[0].shape)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            dx = self._pieces(bottom[0].diff)
            dx[...] = 0
            np.put_along_axis(dx, self.winner, top[0].diff.reshape(self.winner.shape), 1)
