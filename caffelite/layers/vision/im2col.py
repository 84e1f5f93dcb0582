import math

from ...kernels.im2col import col2im, im2col
from ..base import register
from ._sliding import Sliding


@register("Im2col")
class Im2col(Sliding):
    """y[(c, k), o] = x[c, o * stride + k * dilation - pad]: the windows of Convolution, unrolled.

    x is 0 outside its borders. The channels of y run over c, then over the kernel's axes.

    Bottom
        0: x, batch axes, C channels, one or more spatial axes
    Top
        0: y, the batch axes, C * (product of the kernel's sides) channels, the space of Convolution
    Options (convolution_param)
        kernel_size: one number, or one per spatial axis
        stride, pad, dilation: none (1, 0, 1), one number, or one per spatial axis
        kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w: instead, on two spatial axes
        axis: of the channels; axes before are batch, axes after are space [1]
        force_nd_im2col: accepted, changes nothing [false]
    """

    ignored = {
        f"convolution_param.{option}": "windows are unrolled, and that is all"
        for option in ("num_output", "bias_term", "group", "weight_filler", "bias_filler")
    }
    refused = {"engine: CUDNN": None}

    def setup(self, bottom_shapes):
        self.set_geometry(bottom_shapes[0])
        if not self.kernel:
            raise self.shape_error(0, bottom_shapes[0], f"spatial axes after axis {self.axis}")

    def infer_shapes(self, bottom_shapes):
        return [self.top_shape(bottom_shapes[0], self.channels * math.prod(self.kernel))]

    def _images(self, x, columns):
        x, columns = self.fold(x), self.fold(columns)
        shape = (len(columns), self.channels, *self.kernel, *columns.shape[2:])
        return zip(x, columns.reshape(shape), strict=True)

    def forward(self, bottom, top):
        for x, y in self._images(bottom[0].data, top[0].data):
            im2col(x, y, self.kernel, self.stride, self.pad, self.dilation)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            for dx, dy in self._images(bottom[0].diff, top[0].diff):
                col2im(dy, dx, self.kernel, self.stride, self.pad, self.dilation)
