import numpy as np

from ..base import Layer, register


@register("Upsample")
class Upsample(Layer):
    """y[mask] = x and 0 elsewhere; without a mask, each value of x repeated scale x scale times.

    With a mask this undoes a Pooling, whose second top the mask is. A place named twice takes
    the last value.

    Bottoms
        0: x, (N, C, H, W)
        1: optional: for each value of x its place in y, row * columns + column; no gradient
    Top
        0: y, (N, C, rows, columns): H * scale_h and W * scale_w, less what pad_out_h and
           pad_out_w take, or upsample_h and upsample_w
    Options (upsample_param)
        scale: of both sides [2 with a mask, 1 without]
        scale_h, scale_w: instead of scale, both; with a mask
        pad_out_h, pad_out_w: a row, a column less; with a mask, at scale 2 [false]
        upsample_h, upsample_w: the size itself, both; with a mask
    Source
        With a mask: Badrinarayanan, Kendall, Cipolla 2015, arXiv:1511.00561 (SegNet)
    """

    options_field = "upsample_param"
    drawn_as = "convolution"
    bottoms = (1, 2)
    no_gradient = (1,)

    def setup(self, bottom_shapes):
        options = self.options
        for h, w in (("scale_h", "scale_w"), ("upsample_h", "upsample_w")):
            if options.HasField(h) != options.HasField(w):
                given, other = (h, w) if options.HasField(h) else (w, h)
                raise self.error(f"{given} is given without {other}; give both")
        if len(bottom_shapes) == 1:
            self._check_nearest()
        default = 2 if len(bottom_shapes) == 2 else 1
        scale = options.scale if options.HasField("scale") else default
        pair = options.HasField("scale_h")
        self.scale = (options.scale_h, options.scale_w) if pair else (scale, scale)
        if min(self.scale) < default and not options.HasField("upsample_h"):
            shown = " x ".join(map(str, self.scale))
            raise self.error(f"scale: {shown} is too small, expected at least {default}")
        for name, side in (("pad_out_h", 0), ("pad_out_w", 1)):
            if getattr(options, name) and self.scale[side] != 2:
                raise self.error(f"{name} is for scale 2, not {self.scale[side]}")

    def _check_nearest(self):
        for name in ("scale_h", "pad_out_h", "pad_out_w", "upsample_h"):
            if self.options.HasField(name):
                raise self.error(f"{name} is for upsampling with a mask as second bottom")

    def infer_shapes(self, bottom_shapes):
        shape, options = bottom_shapes[0], self.options
        if len(shape) != 4:
            raise self.shape_error(0, shape, "4 axes: (N, C, H, W)")
        if len(bottom_shapes) == 2 and tuple(bottom_shapes[1]) != tuple(shape):
            raise self.shape_error(1, bottom_shapes[1], f"{tuple(shape)}, as bottom[0]")
        if options.HasField("upsample_h"):
            return [(*shape[:2], options.upsample_h, options.upsample_w)]
        rows = shape[2] * self.scale[0] - options.pad_out_h
        columns = shape[3] * self.scale[1] - options.pad_out_w
        return [(*shape[:2], rows, columns)]

    def forward(self, bottom, top):
        x, y = bottom[0].data, top[0].data
        if len(bottom) == 1:
            self._blocks(y)[...] = x[:, :, :, None, :, None]
            return
        self._check_places(bottom[1].data, y)
        y[...] = 0
        np.put_along_axis(*self._flat(y, bottom[1].data, x), axis=1)

    def backward(self, top, propagate_down, bottom):
        if not propagate_down[0]:
            return
        dx, dy = bottom[0].diff, top[0].diff
        if len(bottom) == 1:
            self._blocks(dy).sum(axis=(3, 5), out=dx)
            return
        dy, places, flat = self._flat(dy, bottom[1].data, dx)
        flat[...] = np.take_along_axis(dy, places, axis=1)

    def _blocks(self, y):
        """y as (N, C, H, scale, W, scale)."""
        n, c, rows, columns = y.shape
        s = self.scale[0]
        return y.reshape(n, c, rows // s, s, columns // s, s)

    @staticmethod
    def _flat(y, mask, x):
        """The three with a row per plane, the mask as integers."""
        planes = x.shape[0] * x.shape[1]
        size, small = y.shape[2] * y.shape[3], x.shape[2] * x.shape[3]
        places = mask.reshape(planes, small).astype(np.intp)
        return y.reshape(planes, size), places, x.reshape(planes, small)

    def _check_places(self, mask, y):
        size = y.shape[2] * y.shape[3]
        wrong = mask[~((mask >= 0) & (mask < size))]
        if wrong.size:
            raise self.error(
                f'bottom[1] "{self.param.bottom[1]}", the mask, holds {wrong[0]:g}, expected a '
                f"place from 0 to {size - 1}: the top has {y.shape[2]} x {y.shape[3]} values"
            )
