import numpy as np

from ...blob import Blob
from ...kernels import affine, batch_norm
from ...kernels.epilogue import Epilogue
from .._by_channel import by_channel
from .._keep import keep_bottom
from ..base import register
from ._channels import ChannelNormalizer


@register("InstanceNorm")
class InstanceNorm(ChannelNormalizer):
    """y = (x - mean) / sqrt(variance + eps), each channel of each sample by its own statistics.

    In training and testing alike; nothing is kept. Nets usually follow it with a Scale that has a
    bias_term. MVN differs in that it adds its eps to the root.

    Bottom
        0: x, (N, C, ...)
    Top
        0: y, the shape of x; may reuse x's memory
    Options (instance_norm_param)
        eps: added to the variance [1e-5]
    Source
        Ulyanov, Vedaldi, Lempitsky 2016, arXiv:1607.08022
    """

    options_field = "instance_norm_param"
    is_fixed = False
    takes_addend = False

    def setup(self, bottom_shapes):
        self.count_channels(bottom_shapes)
        self.eps = self.options.eps

    def forward_with(self, bottom, top, owner, **activation):
        x, y = by_channel(bottom[0].data), by_channel(top[0].data)
        if x.shape[2] == 0:
            raise self.shape_error(0, bottom[0].shape, "at least one value per channel")
        self.x = keep_bottom(self, bottom, top)
        self.mean, self.variance = np.empty((2, *x.shape[:2]), self.dtype)
        epilogue = owner.epilogue(**activation)
        for n in range(len(x)):
            one = slice(n, n + 1)
            batch_norm.forward(
                x[one], self.eps, epilogue, self.mean[n], self.variance[n], y[one]
            )  # fmt: skip

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            self.gradients(top[0], bottom[0].diff, self)

    def gradients(self, top, dx, owner, shows=True, **activation):
        x, y, dy = (by_channel(array) for array in (self.x.data, top.data, top.diff))
        dscales, dbiases = np.empty((2, *x.shape[:2]), self.dtype)
        epilogue = owner.epilogue(**activation)
        for n, (dscale, dbias) in enumerate(zip(dscales, dbiases, strict=True)):
            one, mean, variance = slice(n, n + 1), self.mean[n], self.variance[n]
            if dx is None:
                affine.sums(dy[one], x[one], mean, dscale, dbias)
                dscale /= np.sqrt(variance + self.eps)
            else:
                batch_norm.backward(
                    y[one], dy[one], x[one], mean, variance, self.eps, epilogue, self.adds_up,
                    shows, by_channel(dx)[one], dscale, dbias,
                )  # fmt: skip
        return dscales.sum(axis=0), dbiases.sum(axis=0)

    def normalized(self):
        blob = Blob(self.x.shape, self.dtype)
        x, y = by_channel(self.x.data), by_channel(blob.data)
        for n, (mean, variance) in enumerate(zip(self.mean, self.variance, strict=True)):
            slope = self.dtype.type(1) / np.sqrt(variance + self.eps)
            plain = Epilogue.of(self.dtype, self.channels, mean, slope)
            affine.forward(x[n : n + 1], plain, y[n : n + 1])
        return blob
