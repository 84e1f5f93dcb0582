import math

import numpy as np

from ..base import Layer, register
from ..options import pair
from ..reach import window
from ._pool import METHODS, out_shape
from ._sliding import window_map


@register("Pooling")
class Pooling(Layer):
    """y[i, j] = the maximum, mean, ... of x in the window at (i, j) * stride - pad.

    Each side of the top is (in + 2 pad - kernel) / stride + 1, rounded up, less one if with a
    pad the last window would start beyond the far border.

    MAX
        the largest value of the part of the window inside x
    AVE
        the sum over the window, divided by its size: padding counts, an overhang beyond it not
    STOCHASTIC
        TRAIN: a value, drawn with probability x / sum of x; TEST: sum of x^2 / sum of x
    L2
        sqrt(sum of x^2)

    Bottom
        0: x, (N, C, H, W)
    Tops
        0: y, (N, C, rows, columns)
        1: with MAX, optional: h * W + w of each maximum, -1 where there is none; no gradient
    Options (pooling_param)
        pool: MAX, AVE, STOCHASTIC or L2 [MAX]
        kernel_size: side of the window; or kernel_h and kernel_w
        stride: from window to window; or stride_h and stride_w [1]
        pad: how far windows reach over each border; or pad_h and pad_w [0]
        global_pooling: one window over the whole map, whatever its size [false]
        round_mode: CEIL or FLOOR, for the size of the top [CEIL]
        ceil_mode: false is round_mode: FLOOR [true]
        engine: changes nothing; CUDNN is refused [DEFAULT]
    Source
        Stochastic: Zeiler, Fergus 2013, arXiv:1301.3557
    """

    options_field = "pooling_param"
    role = "middle"
    drawn_as = "pooling"
    tops = (1, 2)

    @classmethod
    def coordinates(cls, options, index):
        return None if options.get("global_pooling") else window_map(options)

    def setup(self, bottom_shapes):
        options = self.options
        self.method = options.PoolMethod.Name(options.pool)
        self.reads_top = "values" if self.method in ("L2", "STOCHASTIC") else None
        if self.num_tops > 1 and self.method != "MAX":
            raise self.error(f"a second top, the mask, comes with pool: MAX, not {self.method}")
        self.stride = pair(self, "stride", 1, least=1)
        self.pad = pair(self, "pad", 0)
        if options.global_pooling:
            self._check_global()
        else:
            self.kernel = pair(self, "kernel_size", least=1)
            if any(p >= k for p, k in zip(self.pad, self.kernel, strict=True)):
                raise self.error(f"pad {self.pad} must be smaller than the kernel {self.kernel}")
        if any(self.pad) and self.method == "STOCHASTIC":
            raise self.error("pad is not for pool: STOCHASTIC")
        self.floor = self._rounds_down()
        self.pool = METHODS[self.method](self)

    def _check_global(self):
        kernel = ("kernel_size", "kernel_h", "kernel_w")
        given = [name for name in kernel if self.options.HasField(name)]
        if given:
            raise self.error(f"{given[0]} and global_pooling are both given; keep one of them")
        if self.pad != (0, 0) or self.stride != (1, 1):
            raise self.error("global_pooling needs pad 0 and stride 1: its window is the whole map")

    def _rounds_down(self):
        options = self.options
        floor = options.round_mode == options.FLOOR
        if not options.HasField("ceil_mode"):
            return floor
        if options.HasField("round_mode") and floor == options.ceil_mode:
            raise self.error("round_mode and ceil_mode contradict each other; keep round_mode")
        return not options.ceil_mode

    @property
    def replays(self):
        return self.num_tops == 1 and self.method in ("MAX", "AVE")

    def window(self, shape):
        kernel = tuple(shape[2:]) if self.options.global_pooling else self.kernel
        return (*kernel, *self.stride, *self.pad)

    def infer_shapes(self, bottom_shapes):
        shape = bottom_shapes[0]
        if len(shape) != 4:
            raise self.shape_error(0, shape, "4 axes: (N, C, H, W)")
        space = out_shape(self, shape[2:], self.window(shape), self.floor)
        most = int(2 / np.finfo(self.dtype).eps)
        if self.num_tops > 1 and math.prod(shape[2:]) > most:
            told = f"{most} values a plane: {self.dtype} tells no more places apart in the mask"
            raise self.shape_error(0, shape, f"at most {told}")
        return [(*shape[:2], *space)] * self.num_tops

    def reshape(self, bottom, top):
        super().reshape(bottom, top)
        for mask in top[1:]:
            mask.places_in = bottom[0].shape[2:]

    def reach(self, bottom, top):
        if self.options.global_pooling:
            return None
        return list(map(window, self.kernel, self.stride, self.pad))

    @staticmethod
    def planes(array):
        n, c, h, w = array.shape
        return array.reshape(n * c, h, w)

    def forward(self, bottom, top):
        x, y = self.planes(bottom[0].data), self.planes(top[0].data)
        self.samples = len(bottom[0].data)
        self.pool.forward(x, self.window(bottom[0].shape), y)
        if len(top) > 1:
            self.planes(top[1].data)[...] = self.pool.argmax

    def can_fill(self, bottom_shapes, array):
        return array.flags.c_contiguous

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            window = self.window(bottom[0].shape)
            arrays = (top[0].data, top[0].diff, bottom[0].diff)
            y, dy, dx = map(self.planes, arrays)
            self.pool.backward(self.planes(bottom[0].data), window, y, dy, dx)
