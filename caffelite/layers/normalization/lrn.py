from ...kernels import lrn
from ..base import Layer, register
from ..reach import window


@register("LRN")
class LRN(Layer):
    """y = x / (k + alpha / count * sum of x^2 over a window)^beta: local response normalization.

    ACROSS_CHANNELS
        the window holds local_size neighbouring channels at one position; count = local_size
    WITHIN_CHANNEL
        it is a square of side local_size in one channel; count = local_size^2, and k is 1

    Outside the borders x is 0. The paper multiplies the sum by its alpha, which alpha / count is
    here: its numbers, n 5, k 2, alpha 0.0001, are local_size: 5 k: 2 alpha: 0.0005.

    Bottom
        0: x, (N, C, H, W)
    Top
        0: y, the shape of x
    Options (lrn_param)
        local_size: of the window, odd [5]
        alpha: factor on the mean of squares [1]
        beta: exponent [0.75]
        norm_region: ACROSS_CHANNELS or WITHIN_CHANNEL [ACROSS_CHANNELS]
        k: added to the sum; only across channels [1]
        engine: changes nothing; CUDNN is refused [DEFAULT]
    Source
        Krizhevsky, Sutskever, Hinton 2012
    """

    options_field = "lrn_param"
    replays = True
    role = "middle"
    pointwise = True
    drawn_as = "normalization"

    def moot(self):
        if self.options.norm_region == self.options.ACROSS_CHANNELS:
            return super().moot()
        return super().moot() | {"lrn_param.k": "WITHIN_CHANNEL has 1"}

    def setup(self, bottom_shapes):
        options = self.options
        if options.local_size % 2 == 0:
            raise self.error(f"local_size is {options.local_size}, expected an odd number")
        self.across = options.norm_region == options.ACROSS_CHANNELS
        k = options.k if self.across else 1.0
        self.numbers = (options.local_size // 2, k, options.alpha, options.beta)

    def infer_shapes(self, bottom_shapes):
        if len(bottom_shapes[0]) != 4:
            raise self.shape_error(0, bottom_shapes[0], "4 axes: (N, C, H, W)")
        return bottom_shapes

    def reach(self, bottom, top):
        half = self.numbers[0]
        return super().reach(bottom, top) if self.across else [window(2 * half + 1, 1, half)] * 2

    def _three_axes(self, *arrays):
        n, c, h, w = arrays[0].shape
        shape = (n, c, h * w) if self.across else (n * c, h, w)
        return [a.reshape(shape) for a in arrays]

    def forward(self, bottom, top):
        x, y = self._three_axes(bottom[0].data, top[0].data)
        run = lrn.across_forward if self.across else lrn.within_forward
        run(x, *self.numbers, y)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            x, dy, dx = self._three_axes(bottom[0].data, top[0].diff, bottom[0].diff)
            run = lrn.across_backward if self.across else lrn.within_backward
            run(x, dy, *self.numbers, dx)
