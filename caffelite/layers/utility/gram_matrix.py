import math

from .. import _gram
from ..base import Layer, register


@register("GramMatrix")
class GramMatrix(Layer):
    """G = F F', the inner products of channels over all places: the style matrix of a picture.

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
        _gram.check(self, shape)
        return [(*shape[:2], shape[1])]

    def _factor(self, x):
        return _gram.share(x.shape) if self.options.normalize else 1

    def forward(self, bottom, top):
        x = bottom[0].data
        for f, gram in zip(_gram.features(x), top[0].data, strict=True):
            _gram.gram(f, self._factor(x), gram)

    def backward(self, top, propagate_down, bottom):
        if not propagate_down[0]:
            return
        x, dx = bottom[0].data, bottom[0].diff
        triples = zip(top[0].diff, _gram.features(x), _gram.features(dx), strict=True)
        for dgram, f, df in triples:
            _gram.gram_back(dgram, f, self._factor(x), df)

    def macs(self, bottom_shapes, top_shapes):
        return math.prod(bottom_shapes[0]) * bottom_shapes[0][1]
