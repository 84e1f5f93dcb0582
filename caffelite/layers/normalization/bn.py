import numpy as np

from ...proto import caffe_pb2
from ..base import TEST, register
from ._channels import ChannelNormalizer

OTHER_WORDS = ("scale_filler", "shift_filler", "bn_mode", "var_eps", "moving_average", "axis")


@register("BN")
class BN(ChannelNormalizer):
    """y = scale * (x - mean) / sqrt(variance + eps) + bias, for each channel (axis 1).

    Two layers of this name are in use. The first keeps its statistics in blobs and tests with
    them; the other keeps none. Any of the options scale_filler, shift_filler, bn_mode, var_eps,
    moving_average or axis asks for the other.

    Bottom
        0: x, at least 2 axes
    Top
        0: y, the shape of x; may reuse x's memory
        1, 2: mean and variance of the batch, (1, C, 1, 1), in the other form; no gradient
    Blobs
        scale, bias: (1, C, 1, 1)
        mean, variance: running averages, (1, C, 1, 1); not in the other form
    Options (bn_param)
        slope_filler, bias_filler: of scale and bias [constant 0]
        momentum: what is left of the averages at each batch [0.9]
        eps: added to the variance [1e-5]
        frozen: use the averages in training, too, and learn nothing [false]
        scale_filler, shift_filler: of scale and bias in the other form [constant 0]
        bn_mode: LEARN: the statistics of the batch, always; INFERENCE: y = scale * x + bias [LEARN]
        var_eps: added to the variance in the other form [1e-9]
        moving_average, across_spatial, axis: refused where they change anything
        decay, engine: change nothing
    """

    options_field = "bn_param"
    learns = True
    statistics = ("mean", "variance")
    ignored = {"bn_param.decay": "moving_average is not supported"}
    refused = {"engine: CUDNN": None}
    tops = (1, 3)

    def setup(self, bottom_shapes):
        self.count_channels(bottom_shapes)
        if any(self.options.HasField(word) for word in OTHER_WORDS):
            self._set_up_without_averages()
        else:
            self._set_up_with_averages()

    def _set_up_with_averages(self):
        options, shape = self.options, (1, self.channels, 1, 1)
        if self.num_tops > 1:
            raise self.error("has more than one top; this form of BN gives no statistics")
        self.eps = options.eps
        self.scale = self.add_blob("scale", shape, options.slope_filler)
        self.bias = self.add_blob("bias", shape, options.bias_filler)
        self.averages = [self.add_blob("mean", shape)]
        one = caffe_pb2.FillerParameter(value=1)
        self.averages.append(self.add_blob("variance", shape, one if options.frozen else None))
        specs = self.param.param
        while len(specs) < 4:
            specs.add()
        for spec in specs[0 if options.frozen else 2 :]:
            spec.lr_mult = spec.decay_mult = 0

    def _set_up_without_averages(self):
        options, shape = self.options, (1, self.channels, 1, 1)
        if options.moving_average or options.axis != 1 or not options.across_spatial:
            raise self.error(
                "moving_average: true, axis other than 1 and across_spatial: false are not "
                "supported; BatchNorm followed by Scale does what most nets with these need"
            )
        self.averages = None
        self.eps = options.var_eps if options.HasField("var_eps") else 1e-9
        if options.bn_mode == options.INFERENCE:
            self.eps = 0
        self.scale = self.add_blob("scale", shape, options.scale_filler)
        self.bias = self.add_blob("bias", shape, options.shift_filler)

    def infer_shapes(self, bottom_shapes):
        x, *_ = super().infer_shapes(bottom_shapes)
        return [x, *[(1, self.channels, 1, 1)] * (self.num_tops - 1)]

    @property
    def is_fixed(self):
        if self.averages is None:
            return self.options.bn_mode == self.options.INFERENCE
        return self.options.frozen or self.phase == TEST

    def fixed_statistics(self):
        if self.averages is None:
            return np.zeros(self.channels, self.dtype), np.ones(self.channels, self.dtype)
        return tuple(blob.data.reshape(-1) for blob in self.averages)

    def forward_with(self, bottom, top, owner, **activation):
        super().forward_with(bottom, top, owner, **activation)
        if self.averages is None:
            for blob, statistic in zip(top[1:], (self.mean, self.variance), strict=False):
                blob.data.reshape(-1)[...] = statistic
        elif not self.is_fixed:
            momentum = self.options.momentum
            for blob, new in zip(self.averages, (self.mean, self.variance), strict=True):
                average = blob.data.reshape(-1)
                average[...] = momentum * average + (1 - momentum) * new
