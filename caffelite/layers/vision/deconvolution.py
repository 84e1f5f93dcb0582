import math

import numpy as np

from ... import filler
from ...kernels import affine, convolve
from ...proto.caffe_pb2 import FillerParameter
from .._by_channel import by_channel
from ..base import register
from ._convolve import Convolve


@register("Deconvolution")
class Deconvolution(Convolve):
    """y[m, i * stride + k * dilation - pad] sums w[c, m, k] x[c, i] over c, i and k; plus b[m].

    The transpose of Convolution: its forward is that layer's gradient to the bottom. Along each
    spatial axis the top has stride (in - 1) + dilation (kernel - 1) + 1 - 2 pad values.

    Bottoms
        0...: x, batch axes, C channels, any number of spatial axes; all of one shape
    Tops
        0...: y, a top per bottom, computed with the same weights
    Blobs
        weight: (C, num_output / group, kernel...): input channels first
        bias: (num_output), with bias_term
    Options (convolution_param)
        num_output: channels of y
        bias_term: add a bias [true]
        kernel_size: one number, or one per spatial axis
        stride, pad, dilation: none (1, 0, 1), one number, or one per spatial axis
        kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w: instead, on two spatial axes
        group: outputs of a group see only the inputs of that group [1]
        weight_filler, bias_filler: initial values; "bilinear" upsamples, with group or with
            diagonal: true each channel alone [constant 0]
        axis: of the channels; axes before are batch, axes after are space [1]
        force_nd_im2col: accepted, changes nothing [false]
        engine: changes nothing; CUDNN is refused [DEFAULT]
    Source
        Long, Shelhamer, Darrell 2015, arXiv:1411.4038
    """

    windows = "top"

    def weight_shape(self):
        return (self.channels, self.num_output // self.group, *self.kernel)

    @staticmethod
    def out_size(size, kernel, stride, pad, dilation):
        return stride * (size - 1) + dilation * (kernel - 1) + 1 - 2 * pad

    def bilinear(self):
        shape, sides = self.weight_shape(), {*self.kernel}
        fits = len(self.kernel) == 2 and len(sides) == 1 and {*self.dilation} == {1}
        if not fits or self.num_output != self.channels or {-(-max(sides) // 2)} != {*self.stride}:
            return None
        weights = np.zeros(shape, self.dtype)
        channels = np.arange(self.channels)
        each = np.empty((self.channels, 1, *self.kernel), self.dtype)
        filler.fill(each, FillerParameter(type="bilinear"), None)
        weights[channels, channels % shape[1]] = each[:, 0]
        return weights

    def product(self, x, y, epilogue):
        convolve.backward_input(self.weight.data, x, y, *self.geometry)
        if epilogue.slope.size:
            affine.forward(by_channel(y), epilogue, by_channel(y))

    def path(self, bottom_shapes, top_shapes):
        plan = self.plan(top_shapes[0], bottom_shapes[0])
        return plan.input_gradient.way if plan else ""

    def weight_gradient(self, x, dy):
        convolve.backward_weight(dy, x, self.weight.diff, *self.geometry)

    def bottom_gradient(self, dy, dx):
        convolve.forward(dy, self.weight.data, dx, *self.geometry)

    def macs(self, bottom_shapes, top_shapes):
        per_value = math.prod(self.weight_shape()[1:])
        return per_value * sum(math.prod(shape) for shape in bottom_shapes)
