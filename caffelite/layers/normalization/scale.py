import numpy as np

from ...kernels import affine
from ...kernels.epilogue import Epilogue
from ...proto import caffe_pb2
from .._keep import keep_bottom
from ..base import register
from ._broadcast import Broadcast


@register("Scale")
class Scale(Broadcast):
    """y = scale * x + bias, with scale and bias repeated along the axes that they lack.

    Bottom
        0: x, any shape
        1: scale, the shape of some successive axes of x; if missing, it is learned
    Top
        0: y, the shape of x; may reuse x's memory
    Blobs
        scale: with one bottom
        bias: with bias_term, the shape of the scale
    Options (scale_param)
        axis: first axis of x that the scale has [1]
        num_axes: how many axes a learned scale has, -1: all to the end, 0: one number [1]
        filler: of the scale [constant 1]
        bias_term: also learn a bias [false]
        bias_filler: of the bias [constant 0]
    """

    options_field = "scale_param"
    keeps_bottom = True

    def setup(self, bottom_shapes):
        options, shape = self.options, bottom_shapes[-1]
        if len(bottom_shapes) == 1:
            shape = self.covered_shape(bottom_shapes[0])
            one = caffe_pb2.FillerParameter(value=1)
            filler = options.filler if options.HasField("filler") else one
            self.scale = self.add_blob("scale", shape, filler)
        if options.bias_term:
            self.bias = self.add_blob("bias", shape, options.bias_filler)

    def _scale(self, bottom):
        return bottom[1] if len(bottom) > 1 else self.scale

    def forward(self, bottom, top):
        self.x = keep_bottom(self, bottom, top)
        scale = self._scale(bottom)
        bias = None if self.bias is None else self.bias.data
        epilogue = Epilogue.of(self.dtype, scale.count, slope=scale.data, offset=bias)
        x, y = self.fold(bottom[0].data, scale), self.fold(top[0].data, scale)
        affine.forward(x, epilogue, y)

    def backward(self, top, propagate_down, bottom):
        scale = self._scale(bottom)
        x, dy = self.fold(self.x.data, scale), self.fold(top[0].diff, scale)
        none, dscale, dbias = np.zeros((3, scale.count), self.dtype)
        if propagate_down[0]:
            dx = self.fold(bottom[0].diff, scale)
            epilogue = Epilogue.of(self.dtype, scale.count, slope=scale.data)
            affine.backward(x, dy, x, epilogue, dx, dscale, dbias)
        else:
            affine.sums(dy, x, none, dscale, dbias)
            if self._leaves_products(bottom, top):
                np.multiply(top[0].diff, bottom[0].data, out=bottom[0].diff)
        self.add_gradients(dscale, dbias)
        if len(bottom) > 1 and propagate_down[1]:
            scale.diff[...] = dscale.reshape(scale.shape)

    def _leaves_products(self, bottom, top):
        """Whether dy * x stays in bottom 0's diff, which nobody asked for.

        Caffe sums up the gradient of a learned scale from there, and scripts that compare all
        diffs see it. Where propagate_down is written, a Split may yet read this diff: it stays 0.
        """
        if len(bottom) > 1 or not self.param_propagate_down[0] or self.param.propagate_down:
            return False
        in_place = np.may_share_memory(top[0].diff, bottom[0].diff)
        return not in_place and self.scale.count != bottom[0].count
