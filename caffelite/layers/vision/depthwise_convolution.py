from ..base import register
from .convolution import Convolution


@register("DepthwiseConvolution")
class DepthwiseConvolution(Convolution):
    """y[c, o] = b[c] + sum over k of w[c, 0, k] x[c, o * stride + k * dilation - pad].

    A Convolution with a group per channel, whatever `group` says.

    Bottoms
        0...: x, batch axes, C channels, any number of spatial axes; all of one shape
    Tops
        0...: y, a top per bottom, computed with the same weights
    Blobs
        weight: (C, 1, kernel...)
        bias: (C), with bias_term
    Options (convolution_param)
        num_output: must be C
        group: not read; usually C or left out
        bias_term, kernel_size, stride, pad, dilation: as in Convolution
        kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w: as in Convolution
        weight_filler, bias_filler, axis, engine: as in Convolution
    Source
        Howard et al. 2017, arXiv:1704.04861
    """

    replays = Convolution.replays

    def moot(self):
        if self.options.group in (1, self.options.num_output):
            return super().moot()
        return super().moot() | {"convolution_param.group": "each channel is a group"}

    def find_group(self):
        if self.num_output != self.channels:
            raise self.error(
                f"num_output is {self.num_output}, expected {self.channels}, "
                f"the channels of the bottom: each has an output of its own"
            )
        return self.channels
