import math

import numpy as np
from numpy.polynomial import Chebyshev

from ...kernels.gemm import gemm
from ..base import Layer, register
from ..loss._loss import read_labels


@register("MarginInnerProduct")
class MarginInnerProduct(Layer):
    """y = |x| cos(t) for the angles t of x to each row of W; at the label |x| f(t) in its stead.

    f(t) = (-1)^k cos(m t) - 2 k, where m t is in [k pi, (k + 1) pi]: it falls faster than cos(t).
    What stands at the label is (|x| f(t) + lambda |x| cos(t)) / (1 + lambda), and lambda falls with
    the number of passes. Each pass first gives the rows of W the length 1.

    Backward is SphereFace's, not the exact gradient: |x| f(t) has the gradient u w + v x, of which
    (u, v) is given the length 1; and W gets dy' x, as in InnerProduct.

    Bottom
        0: x, axes before `axis`, then values
        1: labels, whole numbers from 0 to num_output - 1, one per sample; no gradient
    Top
        0: y, the axes before `axis`, then num_output
        1: lambda, (1), if asked for; no gradient
    Blobs
        weight: W, (num_output, values)
    Options (margin_inner_product_param)
        num_output: length of y, the number of classes
        type: SINGLE, DOUBLE, TRIPLE or QUADRUPLE: m is 1, 2, 3 or 4 [SINGLE]
        weight_filler: initial W [constant 0]
        axis: values of x lie along this one and all behind it; negative: from the end [1]
        base, gamma, power, lambda_min: lambda = max(base (1 + gamma pass)^-power, lambda_min)
            [1, 0, 1, 0]
        iteration: passes to count from [0]
    Source
        Liu, Wen, Yu, Li, Raj, Song 2017, arXiv:1704.08063 (SphereFace)
    """

    options_field = "margin_inner_product_param"
    labels = (1,)
    learns = True
    drawn_as = "dense"
    bottoms = 2
    tops = (1, 2)
    no_gradient = (1,)

    def setup(self, bottom_shapes):
        options, shape = self.options, bottom_shapes[0]
        if options.num_output < 1:
            raise self.error("num_output is missing or 0, expected the number of classes")
        for name in ("base", "gamma", "power", "iteration"):
            if not getattr(options, name) >= 0:
                raise self.error(f"{name} is {getattr(options, name):g}, expected at least 0")
        self.values = math.prod(shape[self.canonical_axis(options.axis, len(shape)) :])
        shape = options.num_output, self.values
        self.weight = self.add_blob("weight", shape, options.weight_filler)
        self.times = options.type + 1  # m

    def infer_shapes(self, bottom_shapes):
        shape, labels = bottom_shapes
        axis = self.canonical_axis(self.options.axis, len(shape))
        values, samples = math.prod(shape[axis:]), math.prod(shape[:axis])
        if values != self.values:
            expected = f"{self.values} values from axis {axis} on, not {values}"
            raise self.shape_error(0, shape, expected)
        if math.prod(labels) != samples:
            raise self.shape_error(1, labels, f"{samples} labels, one per sample")
        return [(*shape[:axis], self.options.num_output), (1,)][: self.num_tops]

    def macs(self, bottom_shapes, top_shapes):
        return math.prod(bottom_shapes[0]) * self.options.num_output

    def _lambda(self):
        options = self.options
        falling = 1 + options.gamma * (options.iteration + self.position + 1)
        return max(options.base * falling**-options.power, options.lambda_min)

    def forward(self, bottom, top):
        weight = self.weight.data
        self._normalize(weight)
        self.ratio = self._lambda()
        self.count_draw()
        labels = read_labels(self, bottom[1], len(weight)).reshape(-1)
        self.own = np.arange(len(labels)), labels
        x = bottom[0].data.reshape(len(labels), self.values)
        y = top[0].data.reshape(len(labels), len(weight))
        gemm(x, weight, y, trans_b=True)
        if self.times > 1:
            self.length = _lengths(x)
            self.cosine = y[self.own] / self.length
            f, _ = self._falling(self.cosine)
            y[self.own] = self.length * (f + self.ratio * self.cosine) / (1 + self.ratio)
        if len(top) > 1:
            top[1].data[...] = self.ratio

    @staticmethod
    def _normalize(weight):
        """Give the rows the length 1; those that have it stay as they are, to the last bit."""
        length = _lengths(weight)
        length[abs(length - 1) < 16 * np.finfo(weight.dtype).eps] = 1
        weight /= length[:, None]

    def _falling(self, cosine):
        """f and its derivative by the cosine."""
        m = self.times
        k = sum(cosine < math.cos(j * math.pi / m) for j in range(1, m))
        sign, wave = 1 - 2 * (k % 2), Chebyshev.basis(m)  # wave(cos t) = cos(m t)
        return sign * wave(cosine) - 2 * k, sign * wave.deriv()(cosine)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[1]:
            raise self.error("there is no gradient for labels, bottom[1]")
        weight, labels = self.weight.data, self.own[1]
        x = bottom[0].data.reshape(len(labels), self.values)
        dy = top[0].diff.reshape(len(labels), len(weight))
        if self.param_propagate_down[0]:
            gemm(dy, x, self.weight.diff, trans_a=True, accumulate=True)
        if propagate_down[0]:
            dx = bottom[0].diff.reshape(x.shape)
            gemm(dy, weight, dx)
            if self.times > 1:
                dx += self._margin_back(dy[self.own], x, weight[labels])

    def _margin_back(self, dy, x, w):
        """What the gradient to x has beyond dy w, that of |x| cos(t)."""
        f, slope = self._falling(self.cosine)
        u, v = slope, (f - self.cosine * slope) / self.length
        length = np.hypot(u, v)
        share = (dy / (1 + self.ratio))[:, None]
        return (share * ((u / length - 1)[:, None] * w + (v / length)[:, None] * x)).astype(x.dtype)


def _lengths(rows):
    """Of each row, but not 0."""
    return np.maximum(np.linalg.norm(rows, axis=1), np.finfo(rows.dtype).tiny)
