import numpy as np

from ..base import Layer, register
from ._pool import METHODS, out_shape

MAX_LEVELS = 31  # no blob has 2^31 rows


@register("SPP")
class SPP(Layer):
    """y = x pooled into 1, 2 x 2, 4 x 4, ... bins, side by side: spatial pyramid pooling.

    Level i has b = 2^i bins along an axis of n values: windows of ceil(n / b) values, as far
    apart, with pad (b * window - n + 1) / 2 rounded down; see Pooling.

    Bottom
        0: x, (N, C, H, W)
    Top
        0: y, (N, C * bins of all levels), whatever H and W; with one level (N, C, 1, 1)
    Options (spp_param)
        pyramid_height: number of levels
        pool: MAX, AVE or STOCHASTIC [MAX]
        engine: changes nothing; CUDNN is refused [DEFAULT]
    Source
        He, Zhang, Ren, Sun 2014, arXiv:1406.4729
    """

    options_field = "spp_param"
    drawn_as = "pooling"

    def setup(self, bottom_shapes):
        options = self.options
        if not 1 <= options.pyramid_height <= MAX_LEVELS:
            raise self.error(
                f"pyramid_height is {options.pyramid_height}, expected 1 to {MAX_LEVELS}"
            )
        method = METHODS[options.PoolMethod.Name(options.pool)]
        self.pools = [method(self) for _ in range(options.pyramid_height)]

    def levels(self, shape):
        """For each level: (its pooling, window, (rows, columns))."""
        for i, pool in enumerate(self.pools):
            bins = 2**i
            kernel = [-(-size // bins) for size in shape[2:]]
            pad = [(k * bins - size + 1) // 2 for k, size in zip(kernel, shape[2:], strict=True)]
            if any(p >= k for p, k in zip(pad, kernel, strict=True)):
                raise self.shape_error(
                    0, shape, f"a map large enough for the {bins} x {bins} bins of level {i}"
                )
            if any(pad) and self.options.pool == self.options.STOCHASTIC:
                raise self.shape_error(
                    0, shape, f"height and width that {bins} divides, for pool: STOCHASTIC"
                )
            window = (*kernel, *kernel, *pad)
            yield pool, window, out_shape(self, shape[2:], window)

    def infer_shapes(self, bottom_shapes):
        shape = bottom_shapes[0]
        if len(shape) != 4:
            raise self.shape_error(0, shape, "4 axes: (N, C, H, W)")
        n, c = shape[:2]
        spaces = [space for _, _, space in self.levels(shape)]
        if len(spaces) == 1:
            return [(n, c, *spaces[0])]
        return [(n, c * sum(rows * columns for rows, columns in spaces))]

    def _parts(self, shape, top):
        """For each level: (its pooling, window, shape of its planes, its columns of the top)."""
        (n, c), start = shape[:2], 0
        flat = top.reshape(n, top.size // n if n else 0)
        for pool, window, (rows, columns) in self.levels(shape):
            stop = start + c * rows * columns
            yield pool, window, (n * c, rows, columns), flat[:, start:stop]
            start = stop

    def forward(self, bottom, top):
        n, c, h, w = bottom[0].shape
        x = bottom[0].data.reshape(n * c, h, w)
        self.planes, self.samples = [], n
        for pool, window, shape, part in self._parts(bottom[0].shape, top[0].data):
            y = np.empty(shape, x.dtype)
            pool.forward(x, window, y)
            part[...] = y.reshape(part.shape)
            self.planes.append(y)

    def backward(self, top, propagate_down, bottom):
        if not propagate_down[0]:
            return
        n, c, h, w = bottom[0].shape
        x, dx = (a.reshape(n * c, h, w) for a in (bottom[0].data, bottom[0].diff))
        dx[...] = 0
        share = np.empty_like(dx)
        parts = self._parts(bottom[0].shape, top[0].diff)
        for y, (pool, window, shape, part) in zip(self.planes, parts, strict=True):
            pool.backward(x, window, y, np.ascontiguousarray(part).reshape(shape), share)
            dx += share
