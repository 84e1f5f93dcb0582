import math

from ...kernels.gemm import gemm
from ..base import Layer, register
from ..options import COMPRESSION
from ..rows import Rows


@register("InnerProduct")
class InnerProduct(Layer):
    """y = x W' + b, each sample of x flattened from `axis` on: a fully connected layer.

    Bottom
        0: x; its axes before `axis` count samples (M), the others hold K values
    Top
        0: y, the axes of x before `axis`, then num_output
    Blobs
        weight: (num_output, K), with transpose: (K, num_output)
        bias: (num_output), with bias_term
    Options (inner_product_param)
        num_output: length of y
        bias_term: add a bias [true]
        weight_filler: initial weights [constant 0]
        bias_filler: initial bias [constant 0]
        axis: first of the axes that are flattened [1]
        transpose: keep the weights the other way round [false]
    """

    options_field = "inner_product_param"
    learns = True
    linear = True
    drawn_as = "dense"
    ignored = {
        "inner_product_param.sparse_ratio": COMPRESSION,
        "inner_product_param.class_num": COMPRESSION,
        "inner_product_param.quantize_term": COMPRESSION,
    }

    def setup(self, bottom_shapes):
        options, shape = self.options, bottom_shapes[0]
        if options.num_output < 1:
            raise self.error("num_output is missing or 0, expected at least 1")
        axis = self.canonical_axis(options.axis, len(shape))
        self.values = math.prod(shape[axis:])  # K
        if self.values == 0:
            raise self.shape_error(0, shape, f"at least 1 value from axis {axis} on")
        weight_shape = (options.num_output, self.values)
        self.weight = self.add_blob(
            "weight",
            weight_shape[::-1] if options.transpose else weight_shape,
            options.weight_filler,
        )
        self.bias = None
        if options.bias_term:
            self.bias = self.add_blob("bias", (options.num_output,), options.bias_filler)

    def infer_shapes(self, bottom_shapes):
        shape = bottom_shapes[0]
        axis = self.canonical_axis(self.options.axis, len(shape))
        values = math.prod(shape[axis:])
        if values != self.values:
            expected = f"{self.values} values from axis {axis} on, not {values}"
            raise self.shape_error(0, shape, expected)
        return [(*shape[:axis], self.options.num_output)]

    def _matrices(self, x, y):
        return x.reshape(-1, self.values), y.reshape(-1, self.options.num_output)

    def forward(self, bottom, top):
        x, y = self._matrices(bottom[0].data, top[0].data)
        gemm(x, self.weight.data, y, trans_b=not self.options.transpose)
        if self.bias is not None:
            y += self.bias.data

    def backward(self, top, propagate_down, bottom):
        x, dy = self._matrices(bottom[0].data, top[0].diff)
        if self.param_propagate_down[0]:
            left, right = (x, dy) if self.options.transpose else (dy, x)
            gemm(left, right, self.weight.diff, trans_a=True, accumulate=True)
        if self.bias is not None and self.param_propagate_down[1]:
            self.bias.diff[...] += dy.sum(axis=0)
        if propagate_down[0]:
            dx, _ = self._matrices(bottom[0].diff, dy)
            gemm(dy, self.weight.data, dx, trans_b=self.options.transpose)

    def weight_rows(self, bottom):
        axis = self.canonical_axis(self.options.axis, len(bottom))
        return Rows(tuple(bottom[axis:]), upright=self.options.transpose)

    def macs(self, bottom_shapes, top_shapes):
        return math.prod(bottom_shapes[0]) * self.options.num_output
