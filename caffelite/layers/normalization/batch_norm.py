import numpy as np

from ...kernels.axpy import axpy
from ...proto import caffe_pb2
from ..base import TEST, register
from ._channels import ChannelNormalizer


@register("BatchNorm")
class BatchNorm(ChannelNormalizer):
    """y = (x - mean) / sqrt(variance + eps), with statistics per channel (axis 1).

    In training they are those of the batch; running sums of them are kept, and used in testing.
    Nets usually follow it with a Scale that has a bias_term.

    Bottom
        0: x, at least 2 axes
    Top
        0: y, the shape of x; may reuse x's memory
    Blobs
        mean, variance: running sums of batch statistics, (C); the variance sum is unbiased
        factor: what to divide these sums by, (1)
        scale, bias: with scale_bias, (C): y = scale * (x - mean) / sqrt(variance + eps) + bias
    Options (batch_norm_param)
        use_global_stats: use the stored statistics [in TEST]
        moving_average_fraction: what is left of the running sums at each batch [0.999]
        eps: added to the variance [1e-5]
        scale_bias: also learn a scale and a bias [false]
        scale_filler, filler: of the scale, two names of one thing [constant 1]
        bias_filler: of the bias [constant 0]
    Source
        Ioffe, Szegedy 2015, arXiv:1502.03167
    """

    options_field = "batch_norm_param"

    def setup(self, bottom_shapes):
        self.count_channels(bottom_shapes)
        options, c = self.options, self.channels
        self.eps = options.eps
        given = options.HasField("use_global_stats")
        self.is_fixed = options.use_global_stats if given else self.phase == TEST
        self.mean_sum = self.add_blob("mean", (c,))
        self.variance_sum = self.add_blob("variance", (c,))
        self.factor = self.add_blob("factor", (1,))
        self.freeze_blobs(range(3), "forward computes it, the solver must not change it")
        if options.scale_bias:
            filler = options.scale_filler if options.HasField("scale_filler") else options.filler
            one = caffe_pb2.FillerParameter(value=1)
            self.scale = self.add_blob("scale", (c,), filler if filler.ByteSize() else one)
            self.bias = self.add_blob("bias", (c,), options.bias_filler)

    def fixed_statistics(self):
        factor = self.factor.data[0]
        share = self.dtype.type(1 / factor if factor else 0)
        return self.mean_sum.data * share, self.variance_sum.data * share

    def forward(self, bottom, top):
        if self.is_fixed:
            self.normalize_by_fixed(bottom, top)
        else:
            self.normalize_batch(bottom, top)
            self._add_to_sums(bottom[0].count // self.channels)

    def _add_to_sums(self, m):
        fraction = self.options.moving_average_fraction
        for blob, new, share in (
            (self.mean_sum, self.mean, 1),
            (self.variance_sum, self.variance, m / (m - 1) if m > 1 else 1),  # unbiased
            (self.factor, np.ones(1, self.dtype), 1),
        ):
            np.multiply(blob.data, fraction, out=blob.data)
            axpy(share, new, blob.data)
