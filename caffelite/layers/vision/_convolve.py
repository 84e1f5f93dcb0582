"""What Convolution and Deconvolution share: options, blobs, the order of work."""

import math

from ...kernels import convolve
from ..base import Layer
from ..options import check_engine, per_axis


class Convolve(Layer):
    """Base of the layers that slide one set of weights over each of their bottoms.

    A subclass gives `weight_shape()`, `out_size(size, kernel, stride, pad, dilation)` and the
    three products `product(x, y)`, `weight_gradient(x, dy)`, `bottom_gradient(dy, dx)`.
    """

    options_field = "convolution_param"
    bottoms = (1, None)
    tops = (1, None)

    def setup(self, bottom_shapes):
        shape = bottom_shapes[0]
        if self.num_tops != len(bottom_shapes):
            raise self.error(
                f"{len(bottom_shapes)} bottoms and {self.num_tops} tops, expected a top per bottom"
            )
        check_engine(self)
        self.num_axes = len(shape)
        self.axis = self.canonical_axis(self.options.axis, self.num_axes)
        self.channels = shape[self.axis]
        self.num_output, self.group = self.output_and_group()
        self.check_group()
        axes = self.num_axes - self.axis - 1
        self.kernel = per_axis(self, "kernel_size", axes, least=1)
        self.stride = per_axis(self, "stride", axes, default=1, least=1)
        self.pad = per_axis(self, "pad", axes, default=0)
        self.dilation = per_axis(self, "dilation", axes, default=1, least=1)
        self.sizes = (self.kernel, self.stride, self.pad, self.dilation)
        self.add_blobs()

    def output_and_group(self):
        return self.options.num_output, self.options.group

    def check_group(self):
        outputs, group = self.num_output, self.group
        if outputs < 1:
            raise self.error("num_output is missing or 0, expected at least 1")
        if group < 1 or self.channels % group or outputs % group:
            raise self.error(
                f"group is {group}, expected a divisor of the {self.channels} channels of the "
                f"bottom and of num_output, {outputs}"
            )

    def add_blobs(self):
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
        first = bottom_shapes[0]
        if len(first) != self.num_axes or first[self.axis] != self.channels:
            raise self.shape_error(
                0, first, f"{self.num_axes} axes with {self.channels} channels on axis {self.axis}"
            )
        for i, shape in enumerate(bottom_shapes):
            if tuple(shape) != tuple(first):
                raise self.shape_error(
                    i, shape, f"{tuple(first)}, as bottom[0]: they share weights"
                )
        space = tuple(
            self.out_size(*sizes) for sizes in zip(first[self.axis + 1 :], *self.sizes, strict=True)
        )
        if min(space, default=1) < 1:
            raise self.shape_error(
                0, first, f"a larger one: the top would be {' x '.join(map(str, space))} in space"
            )
        return [(*first[: self.axis], self.num_output, *space)] * len(bottom_shapes)

    def fold(self, array):
        """The view of shape (batch, channels, *space): axes before the channels become one."""
        shape = array.shape
        return array.reshape(math.prod(shape[: self.axis]), *shape[self.axis :])

    @property
    def geometry(self):
        return self.stride, self.pad, self.dilation, self.group

    def forward(self, bottom, top):
        for b, t in zip(bottom, top, strict=True):
            y = self.fold(t.data)
            self.product(self.fold(b.data), y)
            if self.bias is not None:
                convolve.add_bias(y, self.bias.data)

    def backward(self, top, propagate_down, bottom):
        for wanted, b, t in zip(propagate_down, bottom, top, strict=True):
            dy = self.fold(t.diff)
            if self.bias is not None and self.param_propagate_down[1]:
                convolve.bias_gradient(dy, self.bias.diff)
            if self.param_propagate_down[0]:
                self.weight_gradient(self.fold(b.data), dy)
            if wanted:
                self.bottom_gradient(dy, self.fold(b.diff))
