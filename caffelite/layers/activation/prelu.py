import math

from ...kernels import prelu
from ...kernels.epilogue import LEAKY
from ...proto import caffe_pb2
from .._keep import keep_bottom
from ..base import register
from ._elementwise import Elementwise


@register("PReLU")
class PReLU(Elementwise):
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
    role = "activation"
    rectifies = True
    learns = True
    in_place = True

    def setup(self, bottom_shapes):
        options, shape = self.options, bottom_shapes[0]
        if len(shape) < 2 or shape[1] == 0:
            raise self.shape_error(0, shape, "at least 2 axes, with channels along axis 1")
        self.channels = shape[1]
        quarter = caffe_pb2.FillerParameter(value=0.25)
        self.slope = self.add_blob(
            "slope",
            () if options.channel_shared else (self.channels,),
            options.filler if options.HasField("filler") else quarter,
        )

    def infer_shapes(self, bottom_shapes):
        shape = bottom_shapes[0]
        fits = self.options.channel_shared or shape[1:2] == (self.channels,)
        if len(shape) < 2 or not fits:
            raise self.shape_error(0, shape, f"{self.channels} channels (axis 1), as at setup")
        return bottom_shapes

    def activation(self):
        return {"activation": LEAKY, "leak": self.slope.data}

    def _fold(self, x):
        """x as (samples, channels, values), or all in one channel if they share the slope."""
        return x.reshape(len(x), self.slope.count, math.prod(x.shape[1:]) // self.slope.count)

    def forward(self, bottom, top):
        self.x = keep_bottom(self, bottom, top)
        slope = self.slope.data.reshape(-1)
        prelu.forward(self._fold(bottom[0].data), slope, self._fold(top[0].data))

    def backward(self, top, propagate_down, bottom):
        x, dy, slope = self._fold(self.x.data), self._fold(top[0].diff), self.slope
        if self.param_propagate_down[0]:
            prelu.slope_gradient(x, dy, slope.diff.reshape(-1))
        if propagate_down[0]:
            prelu.backward(x, dy, slope.data.reshape(-1), self._fold(bottom[0].diff))
