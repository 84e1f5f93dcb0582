from ..base import Layer, register


@register("Reorg")
class Reorg(Layer):
    """y has the values of x in maps s times smaller on both sides, as darknet moves them.

    With r = C / s^2, value (a r + b, h, w) of y, read as if it had the shape of x, is value
    (b, h s + a div s, w s + a mod s) of x, read as if it were (r, H s, W s). That is not
    space-to-depth, though the shapes are. With reverse, x and y change places in this.

    Backward moves gradients back; that of the Caffes that have this layer gives 0, whatever came.

    Bottom
        0: x, (N, C, H, W)
    Top
        0: y, (N, C s^2, H / s, W / s); with reverse, (N, C / s^2, H s, W s)
    Options (reorg_param)
        stride: s, must be given
        reverse: give larger maps, not smaller ones [false]
    Source
        Redmon, Farhadi 2016, arXiv:1612.08242 (YOLO v2)
    """

    options_field = "reorg_param"

    def infer_shapes(self, bottom_shapes):
        shape, s = bottom_shapes[0], self.options.stride
        if s < 1:
            raise self.error("stride is missing or 0, expected at least 1")
        if len(shape) != 4:
            raise self.shape_error(0, shape, "4 axes: (N, C, H, W)")
        n, c, h, w = shape
        if c % s**2:
            raise self.shape_error(0, shape, f"a multiple of stride^2, {s**2}, channels")
        if self.options.reverse:
            return [(n, c // s**2, h * s, w * s)]
        if h % s or w % s:
            raise self.shape_error(0, shape, f"rows and columns in multiples of stride {s}")
        return [(n, c * s**2, h // s, w // s)]

    def _aligned(self, x, y):
        """Views of x and y in which each value has the same place."""
        (n, c, h, w), s, reverse = x.shape, self.options.stride, self.options.reverse
        r = c // s**2
        wide, deep = (y, x) if reverse else (x, y)
        wide = wide.reshape(n, r, h, s, w, s).transpose(0, 3, 5, 1, 2, 4)
        deep = deep.reshape(n, s, s, r, h, w)
        return (deep, wide) if reverse else (wide, deep)

    def forward(self, bottom, top):
        x, y = self._aligned(bottom[0].data, top[0].data)
        y[...] = x

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            dx, dy = self._aligned(bottom[0].diff, top[0].diff)
            dx[...] = dy
