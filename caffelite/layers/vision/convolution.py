import math

from ...blob import Kept
from ...kernels import convolve
from ...kernels.plan import plan_laned, plan_separable
from ..base import TRAIN, register
from ..rows import Rows
from ._convolve import Convolve


@register("Convolution")
class Convolution(Convolve):
    """y[m, o] = b[m] + sum over c, k of w[m, c, k] x[c, o * stride + k * dilation - pad].

    x is 0 outside its borders. Along each spatial axis the top has
    trunc((in + 2 pad - dilation (kernel - 1) - 1) / stride) + 1 values.

    Bottoms
        0...: x, batch axes, C channels, any number of spatial axes; all of one shape
    Tops
        0...: y, a top per bottom, computed with the same weights
    Blobs
        weight: (num_output, C / group, kernel...)
        bias: (num_output), with bias_term
    Options (convolution_param)
        num_output: channels of y
        bias_term: add a bias [true]
        kernel_size: one number, or one per spatial axis
        stride, pad, dilation: none (1, 0, 1), one number, or one per spatial axis
        kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w: instead, on two spatial axes
        group: outputs of a group see only the inputs of that group [1]
        weight_filler, bias_filler: initial values [constant 0]
        axis: of the channels; axes before are batch, axes after are space [1]
        force_nd_im2col: accepted, changes nothing [false]
        engine: changes nothing; CUDNN is refused [DEFAULT]
    Source
        LeCun et al. 1989; with dilation: Yu, Koltun 2015, arXiv:1511.07122
    """

    def setup(self, bottom_shapes):
        super().setup(bottom_shapes)
        self.packed = Kept()

    def weight_shape(self):
        return (self.num_output, self.channels // self.group, *self.kernel)

    @property
    def keeps(self):
        return self.phase != TRAIN

    @property
    def replays(self):
        return self.keeps

    @property
    def takes_addend(self):
        return self.keeps and self.takes_epilogue == "map"

    def adds(self, bottom_shape, top_shape):
        """Whether `forward_with` takes an addend for these shapes."""
        plan = self.plan(bottom_shape, top_shape)
        return plan is not None and plan.forward.adds

    def can_add(self, bottom_shape, top_shape):
        plan = self.plan(bottom_shape, top_shape)
        transposes = plan is not None and plan.input_weights is not None
        return transposes and plan.input_gradient.adds

    def may_run_into(self, following):
        both = self, following
        able = all(isinstance(layer, Convolution) and layer.is_replayed() for layer in both)
        if not (able and all(layer.takes_addend and layer.num_tops == 1 for layer in both)):
            return False
        mixes_channels = following.group == 1 and set(following.kernel) == {1}
        return self.group == self.channels and mixes_channels

    def plan_with(self, following, bottom_shape, top_shape, laned=0):
        between = self.top_shape(bottom_shape, self.num_output)
        plans = self.plan(bottom_shape, between), following.plan(between, top_shape)
        if any(plan is None for plan in plans):
            return None
        return plan_separable(*plans, bottom_shape[0], self.dtype.itemsize, laned)

    def forward_through(self, following, bottom, top, plans, epilogues):
        """Forward of both layers; what is between them is nowhere to be seen."""
        keep = self._packed, following._packed
        convolve.forward_separable(bottom.data, top.data, plans, epilogues, keep)

    def may_give_laned(self, bottom_shape, top_shape):
        if 0 in top_shape or self.axis != 1:
            return False
        shapes = bottom_shape, self.weight_shape(), top_shape
        return plan_laned(*shapes, *self.geometry, self.dtype.itemsize) is not None

    def forward_laned(self, bottom, top, epilogue):
        """Forward, with a laned top."""
        given = self.weight_shape(), top.data, *self.geometry
        convolve.forward_laned(bottom.data, *given, epilogue, self._packed)

    def can_fill(self, bottom_shapes, array):
        plan = self.plan(bottom_shapes[0], array.shape)
        if array.flags.c_contiguous or plan is None:
            return array.flags.c_contiguous
        return plan.forward.strided and self.axis == 1 and array[0].flags.c_contiguous

    def product(self, x, y, epilogue, addend=None):
        if self.keeps:
            shape = self.weight_shape()
            convolve.forward_kept(x, shape, y, *self.geometry, epilogue, self._packed, addend)
        else:
            convolve.forward(x, self.weight.data, y, *self.geometry, epilogue)

    def _packed(self, pack, use):
        packed = self.packed.get([self.weight], lambda: pack(self.weight.read()), use)
        if self.spares_memory and pack.unpack:
            self.weight.restore_later(lambda array: pack.unpack(packed, array))
        return packed

    def weight_gradient(self, x, dy):
        convolve.backward_weight(x, dy, self.weight.diff, *self.geometry)

    def bottom_gradient(self, dy, dx):
        convolve.backward_input(self.weight.data, dy, dx, *self.geometry, self.adds_up)

    def path(self, bottom_shapes, top_shapes):
        plan = self.plan(bottom_shapes[0], top_shapes[0])
        return plan.forward.way if plan else ""

    def weight_rows(self, bottom):
        return Rows(self.weight_shape()[1:], self.group)

    def macs(self, bottom_shapes, top_shapes):
        per_value = math.prod(self.weight_shape()[1:])
        return per_value * sum(math.prod(shape) for shape in top_shapes)
