from ..base import Layer, register
from ..reach import spread
from ._enlarge import Repeat, Unpool


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
        self.way = Repeat(self) if len(bottom_shapes) == 1 else Unpool()
        least = self.way.least
        scale = options.scale if options.HasField("scale") else least
        pair = options.HasField("scale_h")
        self.scale = (options.scale_h, options.scale_w) if pair else (scale, scale)
        if min(self.scale) < least and not options.HasField("upsample_h"):
            shown = " x ".join(map(str, self.scale))
            raise self.error(f"scale: {shown} is too small, expected at least {least}")
        for name, side in (("pad_out_h", 0), ("pad_out_w", 1)):
            if getattr(options, name) and self.scale[side] != 2:
                raise self.error(f"{name} is for scale 2, not {self.scale[side]}")

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

    def reshape(self, bottom, top):
        super().reshape(bottom, top)
        self.way.check(self, bottom, top)

    def reach(self, bottom, top):
        if len(self.param.bottom) > 1:
            return None  # where a value comes from, the mask tells
        return spread(self.scale, self.scale, pad=(0, 0), dilation=(1, 1))

    def forward(self, bottom, top):
        self.way.forward(self, bottom, top)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            self.way.backward(self, top, bottom)
