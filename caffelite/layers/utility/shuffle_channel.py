from ..base import Layer, register


@register("ShuffleChannel")
class ShuffleChannel(Layer):
    """y[:, j g + i] = x[:, i C / g + j]: channel j of each of the g groups, then channel j + 1.

    Bottom
        0: x, (N, C, ...)
    Top
        0: y, the shape of x
    Options (shuffle_channel_param)
        group: g, a divisor of C [1]
    Source
        Zhang, Zhou, Lin, Sun 2017, arXiv:1707.01083 (ShuffleNet)
    """

    options_field = "shuffle_channel_param"
    keeps_space = True

    def infer_shapes(self, bottom_shapes):
        shape, group = bottom_shapes[0], self.options.group
        if len(shape) < 2:
            raise self.shape_error(0, shape, "at least 2 axes: (N, C, ...)")
        if group < 1 or shape[1] % group:
            raise self.error(
                f"group is {group}, expected a divisor of the {shape[1]} channels of the bottom"
            )
        return bottom_shapes

    def _grouped(self, x, y):
        """x as (N, g, C / g, ...), y as (N, C / g, g, ...)."""
        n, c, *rest = x.shape
        g = self.options.group
        return x.reshape(n, g, c // g, *rest), y.reshape(n, c // g, g, *rest)

    def forward(self, bottom, top):
        x, y = self._grouped(bottom[0].data, top[0].data)
        y[...] = x.swapaxes(1, 2)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            dx, dy = self._grouped(bottom[0].diff, top[0].diff)
            dx[...] = dy.swapaxes(1, 2)
