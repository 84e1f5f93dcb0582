import numpy as np

from ..base import Layer, register

MOST = 1 << 24
"""Up to here float32 tells numbers apart that are 1 apart."""


@register("Expectation")
class Expectation(Layer):
    """y = sum over classes k = 0, 1, ... of (first + k) x[k], their mean number if x are odds.

    What LabelDistribution is the other way round: from the odds of ages, say, to an age.

    Bottom
        0: x, probabilities, as Softmax gives them
    Top
        0: y, the shape of x with 1 along `axis`
    Options (expectation_param)
        first: the number that the first class stands for [0]
        axis: of the classes, negative: from the end [1]
    Source
        Rothe, Timofte, Van Gool 2015, DEX: Deep EXpectation of apparent age from a single image
    """

    options_field = "expectation_param"
    role = "result"

    def infer_shapes(self, bottom_shapes):
        shape = list(bottom_shapes[0])
        axis = self.canonical_axis(self.options.axis, len(shape))
        check_numbers(self, shape[axis])
        shape[axis] = 1
        return [tuple(shape)]

    def _numbers(self, x):
        """The numbers of the classes, along the axis."""
        shape = [1] * x.ndim
        shape[self.options.axis] = -1
        count = x.shape[self.options.axis]
        return (self.options.first + np.arange(count, dtype=x.dtype)).reshape(shape)

    def forward(self, bottom, top):
        x = bottom[0].data
        np.sum(x * self._numbers(x), self.options.axis, out=top[0].data, keepdims=True)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            dx = bottom[0].diff
            np.multiply(top[0].diff, self._numbers(dx), out=dx)


def check_numbers(layer, count):
    """Raise unless the numbers of so many classes, from `first` on, can be told apart."""
    first = layer.options.first
    if not abs(first) + count <= MOST:
        raise layer.error(
            f"first is {first:g}, of {count} classes: expected their numbers between {-MOST} and "
            f"{MOST}, beyond which float32 does not tell them apart"
        )
