import numpy as np

from ...proto import caffe_pb2
from ..base import Layer, register


@register("Normalize")
class Normalize(Layer):
    """y = s x / n with n = sqrt(eps + sum of x^2), over a sample or over the channels at a place.

    Backward, dx = s (dy - x * (sum of x dy) / n^2) / n with the sum as in n. That is what SSD's
    layer computes, and it is exact as long as all channels have one s: the exact sum is of x s dy.

    Bottom
        0: x, (N, C, ...)
    Top
        0: y, the shape of x
    Blobs
        scale: s, (C), with channel_shared ()
    Options (norm_param)
        across_spatial: a norm per sample, over all else, instead of one per place [true]
        scale_filler: initial s [constant 1]
        channel_shared: one s for all channels [true]
        eps: added to the sum of squares [1e-10]
    Source
        Liu, Rabinovich, Berg 2015, arXiv:1506.04579 (ParseNet)
    """

    options_field = "norm_param"
    learns = True
    pointwise = True
    drawn_as = "normalization"

    def setup(self, bottom_shapes):
        options, shape = self.options, bottom_shapes[0]
        if len(shape) < 2:
            raise self.shape_error(0, shape, "at least 2 axes: (N, C, ...)")
        self.channels = shape[1]
        fill = caffe_pb2.FillerParameter(value=1)
        if options.HasField("scale_filler"):
            fill = options.scale_filler
        self.scale = self.add_blob(
            "scale", () if options.channel_shared else (self.channels,), fill
        )

    def infer_shapes(self, bottom_shapes):
        shape = bottom_shapes[0]
        if len(shape) < 2 or shape[1] != self.channels:
            raise self.shape_error(0, shape, f"{self.channels} channels on axis 1")
        return bottom_shapes

    def reach(self, bottom, top):
        return None if self.options.across_spatial else super().reach(bottom, top)

    @staticmethod
    def _flat(array):
        """(N, C, places)"""
        n, c = array.shape[:2]
        return array.reshape(n, c, array.size // (n * c) if n * c else 0)

    def _sum(self, x, y):
        """The sum of x * y over what a norm covers, with as many axes as x."""
        if self.options.across_spatial:
            return np.einsum("ncp,ncp->n", x, y)[:, None, None]
        return np.einsum("ncp,ncp->np", x, y)[:, None]

    def forward(self, bottom, top):
        x, y = self._flat(bottom[0].data), self._flat(top[0].data)
        self.norm = np.sqrt(self._sum(x, x) + self.dtype.type(self.options.eps))
        np.divide(x, self.norm, out=y)
        y *= self.scale.data.reshape(-1, 1)

    def backward(self, top, propagate_down, bottom):
        x, dy = self._flat(bottom[0].data), self._flat(top[0].diff)
        if self.param_propagate_down[0]:
            per_channel = np.einsum("ncp,ncp->c", dy, x / self.norm)
            shared = self.options.channel_shared
            self.scale.diff[...] += per_channel.sum() if shared else per_channel
        if propagate_down[0]:
            dx = self._flat(bottom[0].diff)
            np.multiply(x, self._sum(x, dy) / self.norm**2, out=dx)
            np.subtract(dy, dx, out=dx)
            dx *= self.scale.data.reshape(-1, 1) / self.norm
