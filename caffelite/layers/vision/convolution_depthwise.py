from ..base import register
from .depthwise_convolution import DepthwiseConvolution


@register("ConvolutionDepthwise")
class ConvolutionDepthwise(DepthwiseConvolution):
    """y[c, o] = b[c] + sum over k of w[c, 0, k] x[c, o * stride + k * dilation - pad].

    Another name of DepthwiseConvolution.

    Bottoms
        0...: x, batch axes, C channels, any number of spatial axes; all of one shape
    Tops
        0...: y, a top per bottom, computed with the same weights
    Blobs
        weight: (C, 1, kernel...)
        bias: (C), with bias_term
    """

    replays = DepthwiseConvolution.replays
