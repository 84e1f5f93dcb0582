"""What BatchNorm and BN share: normalizing channels, and the way back."""

import numpy as np

from ...blob import Blob
from ...kernels import affine, batch_norm, relu
from ...kernels.epilogue import NONE, RELU, Epilogue
from .._by_channel import by_channel
from .._keep import keep_bottom
from ..base import Layer


class ChannelNormalizer(Layer):
    """y = scale * (x - mean) / sqrt(variance + eps) + bias, for each channel (axis 1).

    A subclass sets `eps` in setup, and the blobs `scale` and `bias` if it has them. Where its
    `is_fixed` is true, forward uses the (mean, variance) of `fixed_statistics()` instead of the
    batch's. In one step with it run a Scale of the channels, if it has no blobs of its own, and
    then a ReLU.
    """

    in_place = True
    keeps_bottom = True
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

    def absorb(self, layer, absorbed):
        if layer.type == "Scale":
            return self.scale is None and not absorbed and layer.is_by_channel
        return layer.type == "ReLU" and layer.slope == 0 and "ReLU" not in _types(absorbed)

    def release(self):
        if "Scale" in _types(self.followers) and self.needs_backward:
            xhat = Blob(self.x.shape, self.dtype)
            slope = self.dtype.type(1) / np.sqrt(self.variance + self.eps)
            plain = Epilogue.of(self.dtype, self.channels, self.mean, slope)
            affine.forward(by_channel(self.x.data), plain, by_channel(xhat.data))
            self.followers[0].x = xhat

    @property
    def rectify(self):
        """Whether this step ends with a ReLU."""
        return "ReLU" in _types(self.followers)

    def affine_blobs(self):
        """The blobs of scale and bias in this step, or None: this layer's or its Scale's."""
        if "Scale" in _types(self.followers):
            return self.followers[0].blobs[0], self.followers[0].bias
        return self.scale, self.bias

    def affine_part(self):
        """The scale and the bias as (C,) arrays."""
        scale, bias = self.affine_blobs()
        return (
            np.ones(self.channels, self.dtype) if scale is None else scale.data.reshape(-1),
            np.zeros(self.channels, self.dtype) if bias is None else bias.data.reshape(-1),
        )

    def normalize_batch(self, bottom, top):
        """Forward with the statistics of the batch, which it leaves in `mean`, `variance`."""
        if bottom[0].count == 0:
            raise self.shape_error(0, bottom[0].shape, "at least one value per channel")
        self.through_statistics = True
        self.x = keep_bottom(self, bottom, top)
        self.mean, self.variance = np.empty((2, self.channels), self.dtype)
        x, y = by_channel(bottom[0].data), by_channel(top[0].data)
        batch_norm.forward(
            x, self.eps, self._epilogue(0, self.affine_part()[0]), self.mean, self.variance, y
        )

    def _epilogue(self, center, slope):
        """(x - center) * slope, then the bias and the activation of this step."""
        activation = RELU if self.rectify else NONE
        bias = self.affine_part()[1]
        return Epilogue.of(self.dtype, self.channels, center, slope, bias, activation)

    def fixed_epilogue(self):
        """What fixed statistics come to: y = (x - center) * slope + offset, and the activation."""
        self.mean, self.variance = self.fixed_statistics()
        scale = self.affine_part()[0]
        return self._epilogue(self.mean, scale / np.sqrt(self.variance + self.eps))

    def normalize_by_fixed(self, bottom, top):
        """Forward with fixed statistics."""
        self.through_statistics = False
        if self.affine_blobs()[0] is not None:
            self.x = keep_bottom(self, bottom, top)
        x, y = by_channel(bottom[0].data), by_channel(top[0].data)
        affine.forward(x, self.fixed_epilogue(), y)

    def backward(self, top, propagate_down, bottom):
        y, dy = by_channel(top[0].data), by_channel(top[0].diff)
        (scale_blob, bias_blob), (scale, _) = self.affine_blobs(), self.affine_part()
        inverse = 1 / np.sqrt(self.variance + self.eps)
        dx = by_channel(bottom[0].diff) if propagate_down[0] else None
        if scale_blob is None and not self.through_statistics:
            self._mask(y, dy)
            if dx is not None:
                np.multiply(dy, inverse[:, None], out=dx)
            return
        x = by_channel(self.x.data)
        dscale, dbias = np.empty((2, self.channels), self.dtype)
        if dx is None and self.followers:  # their diffs still show in the blob
            affine.backward(y, dy, x, self._epilogue(self.mean, scale), dy, dscale, dbias)
            dscale *= inverse
        elif dx is None:
            affine.sums(dy, x, self.mean, dscale, dbias)
            dscale *= inverse
        elif self.through_statistics:
            batch_norm.backward(
                y, dy, x, self.mean, self.variance, self.eps, self._epilogue(0, scale),
                dx, dscale, dbias,
            )  # fmt: skip
        else:
            epilogue = self._epilogue(self.mean, scale * inverse)
            affine.backward(y, dy, x, epilogue, dx, dscale, dbias)
            dscale *= inverse
        owner = self.followers[0] if "Scale" in _types(self.followers) else self
        learns = dict(zip(owner.blobs, owner.param_propagate_down, strict=True))
        for blob, gradient in ((scale_blob, dscale), (bias_blob, dbias)):
            if learns.get(blob):
                blob.diff.reshape(-1)[...] += gradient
        if self.followers and dx is not None and not np.may_share_memory(dx, dy):
            self._mask(y, dy)  # what the followers' backward leaves in their blob
            if "Scale" in _types(self.followers):
                dy *= scale[:, None]

    def _mask(self, y, dy):
        """The gradient of this step's ReLU, where no other kernel takes it along."""
        if self.rectify:
            relu.backward(y.reshape(-1), dy.reshape(-1), self.dtype.type(0), dy.reshape(-1))


def _types(layers):
    return [layer.type for layer in layers]
