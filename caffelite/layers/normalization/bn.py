from ..base import register
from ._bn_forms import BatchAlone, KeptAverages
from ._channels import ChannelNormalizer


@register("BN")
class BN(ChannelNormalizer):
    """y = scale * (x - mean) / sqrt(variance + eps) + bias, for each channel (axis 1).

    Two layers of this name are in use. The first keeps its statistics in blobs and tests with
    them; the other keeps none. Any of the options scale_filler, shift_filler, bn_mode, var_eps or
    moving_average asks for the other, unless moving_average: true does for the first.

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
        var_eps: added to the variance, with moving_average [1e-10]; in the other form [1e-9]
        moving_average: keep averages, with scale_filler, shift_filler, var_eps and decay in place
            of slope_filler, bias_filler, eps and momentum, as PSPNet's first Caffe [false]
        decay: what is taken of a batch's statistics, with moving_average; 0.5 at most, since other
            forks call so what is kept
        across_spatial, axis: refused where they change anything
        engine: changes nothing
    """

    options_field = "bn_param"
    learns = True
    statistics = ("mean", "variance")
    refused = {"engine: CUDNN": None}
    tops = (1, 3)

    def moot(self):
        found = super().moot()
        if not self.options.moving_average:
            found["bn_param.decay"] = "it acts with moving_average: true"
        return found

    def setup(self, bottom_shapes):
        self.count_channels(bottom_shapes)
        options = self.options
        if options.axis != 1 or not options.across_spatial:
            raise self.error(
                "axis other than 1 and across_spatial: false are not supported; BatchNorm followed "
                "by Scale does what most nets with these need"
            )
        is_other = any(options.HasField(name) for name in BatchAlone.OPTIONS)
        keeps = options.moving_average or not is_other
        self.form = KeptAverages(self) if keeps else BatchAlone(self)

    def infer_shapes(self, bottom_shapes):
        x, *_ = super().infer_shapes(bottom_shapes)
        return [x, *[(1, self.channels, 1, 1)] * (self.num_tops - 1)]

    @property
    def is_fixed(self):
        return self.form.is_fixed

    def fixed_statistics(self):
        return self.form.fixed_statistics()

    def keep_statistics(self, mean, variance):
        self.form.keep_statistics(mean, variance)

    def forward_with(self, bottom, top, owner, addend=None, **activation):
        super().forward_with(bottom, top, owner, addend, **activation)
        self.form.take((self.mean, self.variance), top)
