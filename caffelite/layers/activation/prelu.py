import numpy as np

from ...proto import caffe_pb2
from .._keep import keep_bottom
from ..base import Layer, register


@register("PReLU")
class PReLU(Layer):
    """y = x where x > 0, slope[c] * x elsewhere, with a learned slope for each channel c.

    Bottom
        0: x, with the channels on axis 1
    Top
        0: y, the shape of x; may reuse x's memory
    Blobs
        slope: (channels), with channel_shared: one number
    Options (prelu_param)
        filler: initial slopes [constant 0.25]
        channel_shared: one slope for all channels [false]
    Source
        He, Zhang, Ren, Sun 2015, arXiv:1502.01852
    """

    options_field = "prelu_param"
    in_place = True

    def setup(self, bottom_shapes):
        options, shape = self.options, bottom_shapes[0]
        if len(shape) < 2:
            raise self.shape_error(0, shape, "at least 2 axes, with the channels on axis 1")
        self.channels = shape[1]
        quarter = caffe_pb2.FillerParameter(value=0.25)
        self.slope = self.add_blob(
            "slope",
            () if options.channel_shared else (self.channels,),
            options.filler if options.HasField("filler") else quarter,
        )

    def infer_shapes(self, bottom_shapes):
        shape = bottom_shapes[0]
        if len(shape) < 2 or shape[1] != self.channels:
            raise self.shape_error(0, shape, f"{self.channels} channels on axis 1")
        return bottom_shapes

    def _slope_like(self, x):
        slope = self.slope.data
        return slope if slope.ndim == 0 else slope.reshape(-1, *[1] * (x.ndim - 2))

    def forward(self, bottom, top):
        self.x = keep_bottom(self, bottom, top)
        x = bottom[0].data
        negative = np.minimum(x, 0)
        negative *= self._slope_like(x)
        np.maximum(x, 0, out=top[0].data)
        top[0].data[...] += negative

    def backward(self, top, propagate_down, bottom):
        x, dy = self.x.data, top[0].diff
        if self.param_propagate_down[0]:
            over = tuple(i for i in range(x.ndim) if i != 1 or self.options.channel_shared)
            self.slope.diff[...] += (dy * np.minimum(x, 0)).sum(over)
        if propagate_down[0]:
            np.multiply(
                dy, np.where(x > 0, self.dtype.type(1), self._slope_like(x)), out=bottom[0].diff
            )
