import math

import numpy as np

from ...kernels.axpy import axpy
from ...proto import caffe_pb2
from ..base import TEST, register
from ._channels import ChannelNormalizer


@register("BatchNorm")
class BatchNorm(ChannelNormalizer):
    """y = (x - mean) / sqrt(variance + eps), with statistics per channel (axis 1).

    In training they are those of the batch; running sums of them are kept, and used in testing.
    Nets usually follow it with a Scale that has a bias_term; those of some descendants of Caffe ask
    for a scale and a bias in the layer itself, by scale_bias or by a filler of either.

    Bottom
        0: x, at least 2 axes
    Top
        0: y, the shape of x; may reuse x's memory
    Blobs
        mean, variance: running sums of batch statistics, (C); the variance sum is unbiased
        factor: what to divide these sums by, (1)
        scale, bias: if asked for, (C): y = scale * (x - mean) / sqrt(variance + eps) + bias
    Options (batch_norm_param)
        use_global_stats: use the stored statistics [in TEST]
        moving_average_fraction: what is left of the running sums at each batch [0.999]
        eps: added to the variance [1e-5]
        scale_bias: also learn a scale and a bias [whether one of their fillers is given]
        use_weight_bias: another word for scale_bias; false: neither, whatever fillers are given
        scale_filler, filler: of the scale, two names of one thing [constant 1]
        bias_filler: of the bias [constant 0]

    Weights files hold the blobs in this order, or, those of NVCaffe 0.15, as scale, bias, mean,
    variance, factor. NVCaffe divides by no factor, and leaves 0 there: where the statistics of a
    file are not 0 but their factor is, it counts as 1.

    Source
        Ioffe, Szegedy 2015, arXiv:1502.03167
    """

    options_field = "batch_norm_param"
    statistics = ("mean", "variance", "factor")
    refused = {"engine: CUDNN": None}  # files of NVCaffe have it and mean no other numbers

    def __init__(self, param, **context):
        super().__init__(param, **context)
        fillers = ("scale_filler", "filler", "bias_filler")
        self.has_scale = self.options.scale_bias or any(map(self.options.HasField, fillers))
        if self.options.HasField("use_weight_bias"):
            self.has_scale = self.options.use_weight_bias
        if self.has_scale:
            _sort_specs(param.param)

    @property
    def learns(self):
        return self.has_scale

    @property
    def is_fixed(self):
        given = self.options.HasField("use_global_stats")
        return self.options.use_global_stats if given else self.phase == TEST

    def setup(self, bottom_shapes):
        self.count_channels(bottom_shapes)
        options, c = self.options, self.channels
        self.eps = options.eps
        self.mean_sum = self.add_blob("mean", (c,))
        self.variance_sum = self.add_blob("variance", (c,))
        self.factor = self.add_blob("factor", (1,))
        self.freeze_blobs(range(3), "forward computes it, the solver must not change it")
        if self.has_scale:
            filler = options.scale_filler if options.HasField("scale_filler") else options.filler
            one = caffe_pb2.FillerParameter(value=1)
            self.scale = self.add_blob("scale", (c,), filler if filler.ByteSize() else one)
            self.bias = self.add_blob("bias", (c,), options.bias_filler)

    def arrange(self, shapes):
        vectors = [tuple(size for size in shape if size != 1) or (1,) for shape in shapes]
        order = (2, 3, 4, 0, 1) if _scale_first(shapes) else range(len(shapes))
        return [(place, vectors[place]) for place in order]

    def blobs_hint(self, count):
        if self.has_scale and count == 3:
            return "; its scale and bias may be those of a Scale layer: then it has none of its own"
        if not self.has_scale and count == 5:
            return "; batch_norm_param { scale_bias: true } gives it a scale and a bias, as there"
        return ""

    def settle(self):
        if self.factor.data[0] or not (self.mean_sum.data.any() or self.variance_sum.data.any()):
            return ""
        self.factor.data[...] = 1
        return (
            "mean and variance come with a factor of 0, for which Caffe takes both as 0; they are "
            "used as they are, as in NVCaffe"
        )

    def lacks_statistics(self):
        return self.is_fixed and not self.factor.data[0]

    def fixed_statistics(self):
        factor = self.factor.data[0]
        share = self.dtype.type(1 / factor if factor else 0)
        return self.mean_sum.data * share, self.variance_sum.data * share

    def keep_statistics(self, mean, variance):
        self.mean_sum.data[...] = mean
        self.variance_sum.data[...] = variance
        self.factor.data[...] = 1

    def forward_with(self, bottom, top, owner, addend=None, **activation):
        super().forward_with(bottom, top, owner, addend, **activation)
        if not self.is_fixed:
            parts = self.shard.parts if self.synchronizes else 1
            self._add_to_sums(bottom[0].count // self.channels * parts)

    def _add_to_sums(self, m):
        fraction = self.options.moving_average_fraction
        for blob, new, share in (
            (self.mean_sum, self.mean, 1.0),
            (self.variance_sum, self.variance, m / (m - 1) if m > 1 else 1.0),  # unbiased
            (self.factor, np.ones(1, self.dtype), 1.0),
        ):
            np.multiply(blob.data, fraction, out=blob.data)
            axpy(share, new, blob.data)


def _sort_specs(specs):
    """Put the specs of a layer with scale and bias in the order of its blobs.

    NVCaffe 0.15 had scale and bias in front; a learning rate there tells, as statistics have none.
    """
    rates = [spec.lr_mult for spec in specs]
    if any(rates[:2]) and not any(rates[2:]):
        for _ in range(3):
            specs.add(lr_mult=0, decay_mult=0)
        ordered = [*specs[len(rates) :], *specs[: min(2, len(rates))]]
        ordered = [type(spec).FromString(spec.SerializeToString()) for spec in ordered]
        del specs[:]
        specs.extend(ordered)


def _scale_first(shapes):
    """Whether blobs are in the order of NVCaffe 0.15, with the factor, one number, at the end.

    Of a single channel, all are one number; its files had 4 axes.
    """
    counts = [math.prod(shape) for shape in shapes]
    return len(counts) == 5 and counts[4] == 1 and (counts[2] > 1 or len(shapes[4]) == 4)
