import numpy as np

from ..base import Layer, register


@register("BatchReindex")
class BatchReindex(Layer):
    """y[i] = x[index[i]]: samples in another order, some several times, some not at all.

    Bottom
        0: x, any shape with N samples
        1: index, (M), numbers from 0 to N - 1, fractions cut off; no gradient
    Top
        0: y, (M, ...)
    """

    bottoms = 2
    no_gradient = (1,)

    def infer_shapes(self, bottom_shapes):
        shape, index = bottom_shapes
        if len(index) != 1:
            raise self.shape_error(1, index, "a single axis")
        if not shape:
            raise self.shape_error(0, shape, "samples along axis 0")
        return [(*index, *shape[1:])]

    def forward(self, bottom, top):
        samples, index = bottom[0].shape[0], bottom[1].data
        wrong = index[~((index > -1) & (index < samples))]  # NaN, too
        if wrong.size:
            raise self.error(
                f'bottom[1] "{self.param.bottom[1]}" asks for sample {wrong[0]:g}, expected 0 to '
                f"{samples - 1}, bottom[0] has {samples}"
            )
        self.index = index.astype(np.intp)
        np.take(bottom[0].data, self.index, 0, out=top[0].data)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[1]:
            raise self.error("there is no gradient for the index, bottom[1]")
        if propagate_down[0]:
            dx = bottom[0].diff
            dx[...] = 0
            for i, dy in zip(self.index, top[0].diff, strict=True):
                dx[i] += dy
