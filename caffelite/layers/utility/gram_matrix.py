import math

from ...kernels.gemm import gemm
from ..base import Layer, register


@register("GramMatrix")
class GramMatrix(Layer):
    """G = F F', the inner products of channels over all places: what makes up a picture's style.

    F is x of a sample as a matrix of C rows, its maps, and M = H W columns.

    Bottom
        0: x, (N, C, ...)
    Top
        0: G, (N, C, C)
    Options (gram_matrix_param)
        normalize: divide by C M, so that pictures of several sizes compare [false]
    Source
        Gatys, Ecker, Bethge 2016; normalized as in Johnson, Alahi, Fei-Fei 2016, arXiv:1603.08155
    """

    options_field = "gram_matrix_param"

    def infer_shapes(self, bottom_shapes):
        shape = bottom_shapes[0]
        if len(shape) < 2:
            raise self.shape_error(0, shape, "at least 2 axes: (N, C, ...)")
        return [(*shape[:2], shape[1])]

    def _features(self, array):
        """(N, C, M) of x or its diff."""
        return array.reshape(*array.shape[:2], math.prod(array.shape[2:]))

    def _share(self, bottom):
        """What an inner product is multiplied by."""
        _, *sides = bottom[0].shape
        return 1 / max(1, math.prod(sides)) if self.options.normalize else 1

    def forward(self, bottom, top):
        for f, gram in zip(self._features(bottom[0].data), top[0].data, strict=True):
            gemm(f, f, gram, trans_b=True)
            gram *= self.dtype.type(self._share(bottom))

    def backward(self, top, propagate_down, bottom):
        if not propagate_down[0]:
            return
        features, diffs = map(self._features, (bottom[0].data, bottom[0].diff))
        for dgram, f, df in zip(top[0].diff, features, diffs, strict=True):
            both = dgram + dgram.T
            both *= self.dtype.type(self._share(bottom))
            gemm(both, f, df)

    def macs(self, bottom_shapes, top_shapes):
        return math.prod(bottom_shapes[0]) * bottom_shapes[0][1]
