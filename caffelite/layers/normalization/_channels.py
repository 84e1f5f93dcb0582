"""What BatchNorm and BN share: normalizing channels, and the way back."""

import numpy as np

from ...blob import Blob
from ...kernels import affine, batch_norm
from ...kernels.epilogue import Epilogue
from .._by_channel import by_channel
from .._keep import keep_bottom
from . import _synchronized
from ._affine import Affine


class ChannelNormalizer(Affine):
    """y = scale * (x - mean) / sqrt(variance + eps) + bias, for each channel (axis 1).

    A subclass sets `eps` in setup, and the blobs `scale` and `bias` if it has them. Where its
    `is_fixed` is true, forward uses the (mean, variance) of `fixed_statistics()` instead of the
    batch's. Others may have scale and bias instead: `forward_with` and `gradients` take theirs, and
    an activation after them.
    """

    role = "middle"
    pointwise = True
    drawn_as = "normalization"
    in_place = True
    keeps_bottom = True
    normalizes_channels = True
    takes_addend = True

    def adds(self, bottom_shape, top_shape):
        """Whether `forward_with` takes an addend: not with fixed statistics, or those of others."""
        return not (self.is_fixed or self.synchronizes)

    def can_add(self, bottom_shape, top_shape):
        return self.adds(bottom_shape, top_shape)

    @property
    def synchronizes(self):
        """Whether statistics are of the whole batch, of which other processes have a part."""
        return self.whole_statistics and self.shard.parts > 1

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

    def keep_statistics(self, mean, variance):
        """Normalize by these, arrays with a value a channel, where the net is used."""
        raise NotImplementedError(f"{type(self).__name__}.keep_statistics")

    def forward(self, bottom, top):
        self.forward_with(bottom, top, self)

    def forward_with(self, bottom, top, owner, addend=None, **activation):
        """Forward with the scale and bias of the layer `owner`, and an activation, at once.

        An `addend`, where this `adds` one, comes before the activation.
        """
        self.through_statistics = not self.is_fixed
        x, y = by_channel(bottom[0].data), by_channel(top[0].data)
        if self.through_statistics and x.size == 0:
            raise self.shape_error(0, bottom[0].shape, "at least one value per channel")
        if self.through_statistics or owner.scale is not None:
            self.x = keep_bottom(self, bottom, top)
        if self.through_statistics:
            self.mean, self.variance = np.empty((2, self.channels), self.dtype)
            if self.synchronizes:
                _synchronized.forward(self, x, owner, activation, y)
                return
            epilogue = owner.epilogue(**activation)
            numbers = self.eps, epilogue, self.mean, self.variance
            if addend is None:
                batch_norm.forward(x, *numbers, y)
            else:
                batch_norm.forward_sum(x, by_channel(addend), *numbers, y)
        else:
            affine.forward(x, self.fixed_epilogue(owner, **activation), y)

    def fixed_epilogue(self, owner, **activation):
        """What fixed statistics come to: y = (x - mean) * slope + bias, then an activation."""
        self.mean, self.variance = self.fixed_statistics()
        scale = self.dtype.type(1) if owner.scale is None else owner.scale.data.reshape(-1)
        bias = None if owner.bias is None else owner.bias.data
        slope = scale / np.sqrt(self.variance + self.eps)
        return Epilogue.of(self.dtype, self.channels, self.mean, slope, bias, **activation)

    def backward(self, top, propagate_down, bottom):
        dx = bottom[0].diff if propagate_down[0] else None
        if self.scale is not None or self.through_statistics:
            self.add_gradients(*self.gradients(top[0], dx, self))
        elif dx is not None:
            slope = 1 / np.sqrt(self.variance + self.eps)
            np.multiply(by_channel(top[0].diff), slope[:, None], out=by_channel(dx))

    def gradients(self, top, dx, owner, shows=True, **activation):
        """Backward of `forward_with`: fills dx, unless it is None; gives those of scale and bias.

        The diff of `top` becomes that of the activation's bottom if it `shows`. Where dx is None
        there is to be no activation. `dx` may be that diff; then it does not show.
        """
        x, y, dy = (by_channel(array) for array in (self.x.data, top.data, top.diff))
        dscale, dbias = np.empty((2, self.channels), self.dtype)
        inverse = 1 / np.sqrt(self.variance + self.eps)
        if dx is None:
            affine.sums(dy, x, self.mean, dscale, dbias)
        elif self.through_statistics:
            epilogue, dx = owner.epilogue(**activation), by_channel(dx)
            if self.synchronizes:
                return _synchronized.backward(self, y, dy, x, owner, activation, dx)
            batch_norm.backward(
                y, dy, x, self.mean, self.variance, self.eps, epilogue, self.adds_up, shows,
                dx, dscale, dbias,
            )  # fmt: skip
            return dscale, dbias
        else:
            slope = owner.scale.data.reshape(-1) * inverse
            epilogue = Epilogue.of(self.dtype, self.channels, self.mean, slope, **activation)
            affine.backward(y, dy, x, epilogue, by_channel(dx), dscale, dbias)
        return dscale * inverse, dbias

    def gradients_with(self, top, gradients, addend_diff, dx, owner, **activation):
        """Backward of `forward_with` an addend: fills dx and addend_diff, gives those of `owner`.

        The gradient at the top is the sum of one or two arrays, `gradients`. Those to be filled may
        be these.
        """
        first, *others = map(by_channel, gradients)
        dscale, dbias = np.empty((2, self.channels), self.dtype)
        batch_norm.backward_sum(
            by_channel(top.data), first, *(others or [first]), bool(others),
            by_channel(self.x.data), self.mean, self.variance, self.eps,
            owner.epilogue(**activation), by_channel(addend_diff), by_channel(dx), dscale, dbias,
        )  # fmt: skip
        return dscale, dbias

    def leave(self, top, owner):
        """Let `top` hold what forward with the owner's scale and bias gives, at the first look."""
        x, eps, epilogue = self.x, self.eps, owner.epilogue()

        def fill(array):
            if x.shape == array.shape:  # else somebody has reshaped one, and there is no answer
                mean, variance = np.empty((2, array.shape[1]), array.dtype)
                y = by_channel(array)
                batch_norm.forward(by_channel(x.read()), eps, epilogue, mean, variance, y)

        top.fill_later(fill)

    def normalized(self):
        """A blob with (x - mean) / sqrt(variance + eps), of the last forward."""
        blob = Blob(self.x.shape, self.dtype)
        slope = self.dtype.type(1) / np.sqrt(self.variance + self.eps)
        plain = Epilogue.of(self.dtype, self.channels, self.mean, slope)
        affine.forward(by_channel(self.x.data), plain, by_channel(blob.data))
        return blob
