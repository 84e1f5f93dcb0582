"""The two layers that forks call BN: they normalize alike, and differ in their statistics."""

import weakref

import numpy as np

from ...proto import caffe_pb2
from ..base import TEST

MOST_DECAY = 0.5
"""More is what forks write in whose BN it is the share that is kept, 0.95 if nothing is said."""


class KeptAverages:
    """Running averages of mean and variance are two more blobs, by which it tests.

    average = momentum * average + (1 - momentum) * the batch's, at each batch. PSPNet's first Caffe
    says this in other words: moving_average: true, with decay, what is taken of the batch's.
    """

    def __init__(self, layer):
        options, shape = layer.options, (1, layer.channels, 1, 1)
        if layer.num_tops > 1:
            raise layer.error("has more than one top; this form of BN gives no statistics")
        fillers = options.slope_filler, options.bias_filler
        layer.eps, self.momentum = options.eps, options.momentum
        if options.moving_average:
            if not 0 < options.decay <= MOST_DECAY:
                raise layer.error(
                    f"moving_average needs decay, above 0 and up to {MOST_DECAY:g}, not "
                    f"{options.decay:g}: how much of a batch's statistics is taken into the "
                    "averages; PSPNet's nets have 0.05; in other forks, decay is what is kept of "
                    "the averages: write 1 minus it"
                )
            fillers = options.scale_filler, options.shift_filler
            layer.eps, self.momentum = options.var_eps, 1 - options.decay
        layer.scale = layer.add_blob("scale", shape, fillers[0])
        layer.bias = layer.add_blob("bias", shape, fillers[1])
        one = caffe_pb2.FillerParameter(value=1) if options.frozen else None
        self.averages = [layer.add_blob("mean", shape), layer.add_blob("variance", shape, one)]
        self.layer = weakref.proxy(layer)
        specs = layer.param.param
        while len(specs) < 4:
            specs.add()
        for spec in specs[0 if options.frozen else 2 :]:
            spec.lr_mult = spec.decay_mult = 0

    @property
    def is_fixed(self):
        return self.layer.options.frozen or self.layer.phase == TEST

    def fixed_statistics(self):
        return tuple(blob.data.reshape(-1) for blob in self.averages)

    def keep_statistics(self, mean, variance):
        for blob, values in zip(self.averages, (mean, variance), strict=True):
            blob.data.reshape(-1)[...] = values

    def take(self, batch, top):
        """Take in the statistics of a batch, (mean, variance)."""
        if self.is_fixed:
            return
        for blob, new in zip(self.averages, batch, strict=True):
            average = blob.data.reshape(-1)
            average[...] = self.momentum * average + (1 - self.momentum) * new


class BatchAlone:
    """The statistics are always the batch's, and may be tops; INFERENCE does without any."""

    OPTIONS = ("scale_filler", "shift_filler", "bn_mode", "var_eps", "moving_average", "axis")

    def __init__(self, layer):
        options, shape = layer.options, (1, layer.channels, 1, 1)
        self.is_fixed = options.bn_mode == options.INFERENCE
        eps = options.var_eps if options.HasField("var_eps") else 1e-9
        layer.eps = 0 if self.is_fixed else eps
        layer.scale = layer.add_blob("scale", shape, options.scale_filler)
        layer.bias = layer.add_blob("bias", shape, options.shift_filler)
        self.layer = weakref.proxy(layer)
        self.zeros = np.zeros(layer.channels, layer.dtype)
        self.ones = np.ones(layer.channels, layer.dtype)

    def fixed_statistics(self):
        return self.zeros, self.ones

    def keep_statistics(self, mean, variance):
        """Put them into scale and bias, by which INFERENCE goes alone."""
        scale, bias = (blob.data.reshape(-1) for blob in (self.layer.scale, self.layer.bias))
        slope = scale / np.sqrt(variance + self.layer.eps)
        bias -= slope * mean
        scale[...] = slope

    def take(self, batch, top):
        """Give the statistics of a batch, (mean, variance), to the tops behind the first."""
        for blob, statistic in zip(top[1:], batch, strict=False):
            blob.data.reshape(-1)[...] = statistic
