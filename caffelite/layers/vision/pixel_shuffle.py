from ..base import Layer, register
from ..reach import Reach


@register("PixelShuffle")
class PixelShuffle(Layer):
    """y[c, h r + i, w r + j] = x[c r^2 + i r + j, h, w]: channels become maps r times larger.

    Bottom
        0: x, (N, C r^2, H, W)
    Top
        0: y, (N, C, H r, W r)
    Options (pixel_shuffle_param)
        upscale_factor: r, must be given
    Source
        Shi et al. 2016, arXiv:1609.05158 (sub-pixel convolution)
    """

    drawn_as = "convolution"
    options_field = "pixel_shuffle_param"

    def infer_shapes(self, bottom_shapes):
        shape, r = bottom_shapes[0], self.options.upscale_factor
        if r < 1:
            raise self.error("upscale_factor is missing or 0, expected at least 1")
        if len(shape) != 4:
            raise self.shape_error(0, shape, "4 axes: (N, C, H, W)")
        n, c, h, w = shape
        if c % r**2:
            raise self.shape_error(0, shape, f"a multiple of upscale_factor^2, {r**2}, channels")
        return [(n, c // r**2, h * r, w * r)]

    def reach(self, bottom, top):
        same = (0,) * self.options.upscale_factor
        return [Reach(same, same, 1)] * 2

    def _aligned(self, x, y):
        """Views of x and y in which each value has the same place."""
        (n, c, h, w), r = x.shape, self.options.upscale_factor
        deep = x.reshape(n, c // r**2, r, r, h, w)
        return deep.transpose(0, 1, 4, 2, 5, 3), y.reshape(n, c // r**2, h, r, w, r)

    def forward(self, bottom, top):
        x, y = self._aligned(bottom[0].data, top[0].data)
        y[...] = x

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            dx, dy = self._aligned(bottom[0].diff, top[0].diff)
            dx[...] = dy
