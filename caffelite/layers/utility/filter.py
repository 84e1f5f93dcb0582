import numpy as np

from ..base import Layer, register


@register("Filter")
class Filter(Layer):
    """The tops are the samples of the bottoms whose selector is not 0.

    Bottom
        0...: x_i, any shapes with N samples
        last: selector, (N) or (N, 1, ...); no gradient
    Top
        0...: y_i, one for each x_i; as many samples as are selected, perhaps none
    """

    bottoms = (2, None)
    tops = (1, None)

    def setup(self, bottom_shapes):
        if len(bottom_shapes) != self.num_tops + 1:
            raise self.error(
                f"has {len(bottom_shapes)} bottoms and {self.num_tops} tops, expected a top for "
                "each bottom but the last, the selector"
            )

    @property
    def no_gradient(self):
        return (len(self.param.bottom) - 1,)

    def infer_shapes(self, bottom_shapes):
        *shapes, selector = bottom_shapes
        if not selector or any(size != 1 for size in selector[1:]):
            raise self.shape_error(len(shapes), selector, "(N) or (N, 1, ...), one number a sample")
        for index, shape in enumerate(shapes):
            if shape[:1] != selector[:1]:
                raise self.shape_error(index, shape, f"{selector[0]} samples, as the selector has")
        return shapes

    def forward(self, bottom, top):
        self.selected = np.flatnonzero(bottom[-1].data)
        for x, y in zip(bottom[:-1], top, strict=True):
            y.reshape(len(self.selected), *x.shape[1:])
            np.take(x.data, self.selected, 0, out=y.data)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[-1]:
            raise self.error("there is no gradient for the selector, the last bottom")
        for x, y, wanted in zip(bottom, top, propagate_down, strict=False):
            if wanted:
                x.diff[...] = 0
                x.diff[self.selected] = y.diff
