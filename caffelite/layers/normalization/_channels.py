"""What BatchNorm and BN share: normalizing channels, and the way back."""

import math

import numpy as np

from ...kernels import affine, batch_norm
from .._keep import keep_bottom
from ..base import Layer


def by_channel(array):
    """An (N, C, ...) array as (N, C, S)."""
    n, c, *rest = array.shape
    return array.reshape(n, c, math.prod(rest))


class ChannelNormalizer(Layer):
    """y = scale * (x - mean) / sqrt(variance + eps) + bias, for each channel (axis 1).

    A subclass sets `eps` in setup, and the blobs `scale` and `bias` if it has them.
    """

    in_place = True
    scale = bias = None

    def infer_shapes(self, bottom_shapes):
        shape = bottom_shapes[0]
        if len(shape) < 2 or shape[1] != self.channels:
            raise self.shape_error(0, shape, f"{self.channels} channels (axis 1), as at setup")
        return [shape] * self.num_tops

    def count_channels(self, bottom_shapes):
        """Set `channels`, the size of axis 1."""
        shape = bottom_shapes[0]
        if len(shape) < 2 or shape[1] < 1:
            raise self.shape_error(0, shape, "at least 2 axes, with channels along axis 1")
        self.channels = shape[1]

    def freeze_blobs(self, indices, why):
        """Give the blobs of these indices lr_mult 0; refuse specs that say otherwise."""
        specs = self.param.param
        for index in indices:
            while len(specs) <= index:
                specs.add()
                if len(specs) - 1 in indices:
                    specs[-1].lr_mult = 0
            if specs[index].lr_mult != 0:
                raise self.error(
                    f"param[{index}] has lr_mult {specs[index].lr_mult:g}, expected 0: {why}; "
                    "write lr_mult: 0 or leave param out"
                )

    def affine_part(self):
        """The scale and the bias as (C,) arrays."""
        if self.scale is None:
            return np.ones(self.channels, self.dtype), np.zeros(self.channels, self.dtype)
        return self.scale.data.reshape(-1), self.bias.data.reshape(-1)

    def normalize_batch(self, bottom, top):
        """Forward with the statistics of the batch, which it leaves in `mean`, `variance`."""
        if bottom[0].count == 0:
            raise self.shape_error(0, bottom[0].shape, "at least one value per channel")
        self.through_statistics = True
        self.x = keep_bottom(self, bottom, top)
        self.mean, self.variance = np.empty((2, self.channels), self.dtype)
        x, y = by_channel(bottom[0].data), by_channel(top[0].data)
        batch_norm.forward(x, self.eps, *self.affine_part(), self.mean, self.variance, y)

    def normalize_by(self, mean, variance, bottom, top):
        """Forward with statistics from elsewhere."""
        self.through_statistics = False
        if self.scale is not None:
            self.x = keep_bottom(self, bottom, top)
        self.mean, self.variance = mean, variance
        scale, bias = self.affine_part()
        slope = scale / np.sqrt(variance + self.eps)
        affine.forward(by_channel(bottom[0].data), mean, slope, bias, by_channel(top[0].data))

    def backward(self, top, propagate_down, bottom):
        dy = by_channel(top[0].diff)
        scale, _ = self.affine_part()
        inverse = 1 / np.sqrt(self.variance + self.eps)
        if self.scale is None and not self.through_statistics:
            if propagate_down[0]:
                np.multiply(dy, inverse[:, None], out=by_channel(bottom[0].diff))
            return
        x = by_channel(self.x.data)
        dscale, dbias = np.empty((2, self.channels), self.dtype)
        if not propagate_down[0]:
            affine.sums(dy, x, self.mean, dscale, dbias)
            dscale *= inverse
        elif self.through_statistics:
            dx = by_channel(bottom[0].diff)
            batch_norm.backward(dy, x, self.mean, self.variance, self.eps, scale, dx, dscale, dbias)
        else:
            dx = by_channel(bottom[0].diff)
            affine.backward(dy, x, self.mean, scale * inverse, dx, dscale, dbias)
            dscale *= inverse
        if self.scale is not None:
            self.scale.diff.reshape(-1)[...] += dscale
            self.bias.diff.reshape(-1)[...] += dbias
