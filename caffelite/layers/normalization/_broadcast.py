"""What Scale and Bias share: an operand that covers some axes of x and repeats along the others."""

import math

from ._affine import Affine


class Broadcast(Affine):
    """The operand is bottom 1, or with one bottom a learnable blob."""

    role = "middle"
    pointwise = True
    drawn_as = "normalization"
    bottoms = (1, 2)
    in_place = True

    @property
    def learns(self):
        return len(self.param.bottom) == 1

    @property
    def is_by_channel(self):
        options = self.options
        return self.learns and options.axis == 1 and options.num_axes == 1

    @property
    def channels(self):
        """Of a learned operand: how many values it has."""
        return self.blobs[0].count

    @classmethod
    def coordinates(cls, options, index):
        return super().coordinates(options, index) if index == 0 else None

    def covered_shape(self, shape):
        """The shape of a learned operand: `num_axes` axes of `shape`, from `axis` on."""
        axis, num_axes = self.canonical_axis(self.options.axis, len(shape)), self.options.num_axes
        if num_axes < -1 or axis + num_axes > len(shape):
            raise self.error(
                f"num_axes: {num_axes} from axis {axis} on does not fit a bottom of shape "
                f"{tuple(shape)}, expected -1 (to the end) to {len(shape) - axis}"
            )
        return shape[axis:] if num_axes == -1 else shape[axis : axis + num_axes]

    def infer_shapes(self, bottom_shapes):
        x_shape = bottom_shapes[0]
        learned = len(bottom_shapes) == 1
        operand = self.blobs[0].shape if learned else bottom_shapes[1]
        axis = self.canonical_axis(self.options.axis, len(x_shape)) if operand or learned else 0
        end = axis + len(operand)
        if tuple(x_shape[axis:end]) != tuple(operand):
            if learned:
                raise self.shape_error(0, x_shape, f"{operand} from axis {axis} on, as at setup")
            raise self.shape_error(
                1, operand, f"{tuple(x_shape[axis:end])}, that of bottom[0] from axis {axis} on"
            )
        return [x_shape]

    def fold(self, array, operand):
        """`array`, shaped as x, as (axes before those of the operand, these, axes after)."""
        shape = array.shape
        axis = self.canonical_axis(self.options.axis, len(shape)) if operand.shape else 0
        end = axis + len(operand.shape)
        return array.reshape(math.prod(shape[:axis]), operand.count, math.prod(shape[end:]))
