import math

import numpy as np

from .. import _gram
from ..base import Layer, register


@register("StyleLoss")
class StyleLoss(Layer):
    """E = sum of (G - A)^2 / (4 C^2 M^2), the mean over samples: how far a style is from that of A.

    G = F F' is the style matrix of x, with F the C maps of a sample, of M places each. A comes as
    A / (C M), with the M of its own picture, as GramMatrix gives it with normalize: true; for
    pictures of one size that is the formula above.

    Bottom
        0: x, (N, C, ...)
        1: A / (C M), (N, C, C), or (1, C, C), one style for all samples; no gradient
    Top
        0: E, one number
    Source
        Gatys, Ecker, Bethge 2016, who weigh each of five layers by 0.2
    """

    bottoms = 2
    no_gradient = (1,)

    def infer_shapes(self, bottom_shapes):
        shape, style = bottom_shapes
        _gram.check(self, shape)
        wanted = (shape[1], shape[1])
        if len(style) != 3 or style[1:] != wanted or style[0] not in (1, shape[0]):
            expected = f"(1 or {shape[0]}, {shape[1]}, {shape[1]}), for the channels of bottom[0]"
            raise self.shape_error(1, style, expected)
        return [()]

    def forward(self, bottom, top):
        x = bottom[0].data
        self.difference = np.empty((*x.shape[:2], x.shape[1]), self.dtype)
        for f, gram in zip(_gram.features(x), self.difference, strict=True):
            _gram.gram(f, _gram.share(x.shape), gram)
        self.difference -= bottom[1].data
        squares = np.vdot(self.difference, self.difference)
        top[0].data[...] = squares / (4 * max(1, x.shape[0]))

    def backward(self, top, propagate_down, bottom):
        if not propagate_down[0]:
            return
        x, dx = bottom[0].data, bottom[0].diff
        factor = float(top[0].diff) * _gram.share(x.shape) / (2 * max(1, x.shape[0]))
        triples = zip(self.difference, _gram.features(x), _gram.features(dx), strict=True)
        for difference, f, df in triples:
            _gram.gram_back(difference, f, factor, df)

    def macs(self, bottom_shapes, top_shapes):
        return math.prod(bottom_shapes[0]) * bottom_shapes[0][1]
