import numpy as np

from ..base import Layer, register


@register("TVLoss")
class TVLoss(Layer):
    """L = sum of ((x[i, j] - x[i, j + 1])^2 + (x[i, j] - x[i + 1, j])^2)^(beta / 2).

    The total variation of all maps, over the places that have a neighbour to the right and one
    below. With beta below 2, places that are like both get no gradient.

    Bottom
        0: x, (..., H, W)
    Top
        0: L, one number
    Options (tv_loss_param)
        beta: 2 for squared differences, which blurs; 1 for total variation, which keeps edges [2]
    Source
        Mahendran, Vedaldi 2015, arXiv:1412.0035
    """

    options_field = "tv_loss_param"

    def setup(self, bottom_shapes):
        if not self.options.beta > 0:
            raise self.error(f"beta is {self.options.beta:g}, expected more than 0")

    def infer_shapes(self, bottom_shapes):
        if len(bottom_shapes[0]) < 2:
            raise self.shape_error(0, bottom_shapes[0], "at least 2 axes: (..., H, W)")
        return [()]

    def forward(self, bottom, top):
        x = bottom[0].data
        self.right = x[..., :-1, :-1] - x[..., :-1, 1:]
        self.below = x[..., :-1, :-1] - x[..., 1:, :-1]
        squares = self.right**2 + self.below**2
        # A batch that processes share out has the sum of all: their losses are averaged
        total = np.sum(squares ** (self.options.beta / 2), dtype=np.float64) * self.shard.parts
        top[0].data[...] = total

    def backward(self, top, propagate_down, bottom):
        if not propagate_down[0]:
            return
        beta, dx = self.options.beta, bottom[0].diff
        factor = self.dtype.type(float(top[0].diff) * beta * self.shard.parts)
        right, below = self.right * factor, self.below * factor
        if beta != 2:
            squares = self.right**2 + self.below**2
            slope = np.zeros_like(squares)
            np.power(squares, beta / 2 - 1, out=slope, where=squares > 0)
            right, below = right * slope, below * slope
        dx[...] = 0
        dx[..., :-1, :-1] += right + below
        dx[..., :-1, 1:] -= right
        dx[..., 1:, :-1] -= below
