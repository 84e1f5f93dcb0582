"""What Convolution and Deconvolution share: options, blobs, the order of work."""

from ...blob import Kept
from ...kernels import bias
from ...kernels.epilogue import Epilogue
from ...kernels.plan import plan_convolution
from .._by_channel import by_channel
from ..base import TRAIN
from ._sliding import Sliding


class Convolve(Sliding):
    """Base of the layers that slide one set of weights over each of their bottoms.

    A subclass gives `weight_shape()` and the three products `product(x, y, epilogue)`,
    `weight_gradient(x, dy)` and `bottom_gradient(dy, dx)`.
    """

    learns = True
    keeps = False
    """Whether what the weights come to is kept for the next forward."""
    bottoms = (1, None)
    tops = (1, None)

    def setup(self, bottom_shapes):
        if self.num_tops != len(bottom_shapes):
            raise self.error(
                f"{len(bottom_shapes)} bottoms and {self.num_tops} tops, expected a top per bottom"
            )
        self.num_output = self.options.num_output
        if self.num_output < 1:
            raise self.error("num_output is missing or 0, expected at least 1")
        self.set_geometry(bottom_shapes[0])
        self.group = self.find_group()
        self._add_blobs()
        self._kept = Kept()

    def find_group(self):
        group, outputs = self.options.group, self.num_output
        if group < 1 or self.channels % group or outputs % group:
            raise self.error(
                f"group is {group}, expected a divisor of the {self.channels} channels of the "
                f"bottom and of num_output, {outputs}"
            )
        return group

    def _add_blobs(self):
        options = self.options
        shapes = [self.weight_shape()] + [(self.num_output,)] * options.bias_term
        self._check_given_blobs(shapes)
        self.weight = self.add_blob("weight", shapes[0], options.weight_filler)
        self.bias = None
        if options.bias_term:
            self.bias = self.add_blob("bias", shapes[1], options.bias_filler)

    def _check_given_blobs(self, shapes):
        given = self.param.blobs
        if given and len(given) != len(shapes):
            raise self.error(f"{len(given)} blobs are given with the layer, expected {len(shapes)}")
        for proto, shape in zip(given, shapes[: len(given)], strict=True):
            if proto.HasField("shape") and tuple(proto.shape.dim) != shape:
                got = tuple(proto.shape.dim)
                raise self.error(f"a blob given with the layer has shape {got}, expected {shape}")

    def infer_shapes(self, bottom_shapes):
        first = tuple(bottom_shapes[0])
        top = self.top_shape(first, self.num_output)
        for i, shape in enumerate(bottom_shapes):
            if tuple(shape) != first:
                raise self.shape_error(i, shape, f"{first}, as bottom[0]: they share weights")
        return [top] * len(bottom_shapes)

    @property
    def geometry(self):
        return self.stride, self.pad, self.dilation, self.group

    def plan(self, x_shape, y_shape):
        """How the kernels go about a convolution of x to y; None where there are no values."""
        if 0 in x_shape or 0 in y_shape:
            return None
        shapes = self.folded(x_shape), self.weight_shape(), self.folded(y_shape)
        return plan_convolution(*shapes, *self.geometry, self.dtype.itemsize, kept=self.keeps)

    @property
    def takes_epilogue(self):
        return "map" if self.axis == 1 else None

    def epilogue(self, **activation):
        """The bias, then an activation."""
        offset = None if self.bias is None else self.bias.data
        return Epilogue.of(self.dtype, self.num_output, offset=offset, **activation)

    def forward(self, bottom, top):
        made = self.epilogue
        epilogue = made() if self.phase == TRAIN else self._kept.get(self.blobs[1:], made)
        self.forward_with(bottom, top, epilogue)

    def forward_with(self, bottom, top, epilogue, *addend):
        """Forward, with this instead of the layer's own epilogue, and what it may add."""
        for b, t in zip(bottom, top, strict=True):
            self.product(self.fold(b.data), self.fold(t.data), epilogue, *addend)

    def backward(self, top, propagate_down, bottom):
        self.backward_with(top, propagate_down, bottom, self.epilogue())

    def backward_takes_activation(self, propagate_down):
        """Whether the gradient of the activation comes along with that of the bias."""
        return self.bias is not None and self.param_propagate_down[1]

    def backward_with(self, top, propagate_down, bottom, epilogue):
        """Backward of `forward_with` an epilogue that has no map but the bias."""
        for wanted, b, t in zip(propagate_down, bottom, top, strict=True):
            y, dy = self.fold(t.data), self.fold(t.diff)
            if self.bias is not None and self.param_propagate_down[1]:
                bias.backward(by_channel(y), by_channel(dy), epilogue, self.bias.diff)
            if self.param_propagate_down[0]:
                self.weight_gradient(self.fold(b.data), dy)
            if wanted:
                self.bottom_gradient(dy, self.fold(b.diff))
