import math

import numpy as np

from ..base import Layer, register
from .expectation import check_numbers
from .softmax import softmax

SMALLEST = 1e-9
"""The least deviation: with less, squares of distances in deviations may overflow."""


@register("LabelDistribution")
class LabelDistribution(Layer):
    """y[j] = exp(-(j - x)^2 / (2 deviation^2)) / s, for classes j = first, first + 1, ...

    A label that is a number, such as an age, as a Gaussian over classes, so that classes beside the
    right one learn, too. By default s is the sum over the classes, and y a distribution, as
    SoftmaxWithCrossEntropyLoss takes it with target_is_prob: labels at the ends of the range count
    as much as those in the middle, and the deviation changes the width alone. With normalize: false
    s is the deviation, and y adds up to sqrt(2 pi), about 2.5, and to less near the ends; that
    loss takes it with target_is_weight.

    Bottom
        0: x, a number for each sample, at most a deviation outside of the classes; no gradient
    Top
        0: y, (N, num_output)
    Options (label_distribution_param)
        num_output: how many classes
        first: the number that the first class stands for [0]
        deviation: of the Gaussian, in classes [1]
        normalize: divide by the sum over the classes, not by the deviation [true]
    Source
        Geng, Yin, Zhou 2013, Facial age estimation by learning from label distributions
    """

    options_field = "label_distribution_param"
    no_gradient = (0,)

    def setup(self, bottom_shapes):
        options = self.options
        if options.num_output < 1:
            raise self.error("num_output is missing or 0, expected at least 1")
        if not SMALLEST <= options.deviation < math.inf:
            raise self.error(
                f"deviation is {options.deviation:g}, expected at least {SMALLEST:g}, and finite"
            )
        check_numbers(self, options.num_output)
        self.classes = options.first + np.arange(options.num_output, dtype=self.dtype)

    def infer_shapes(self, bottom_shapes):
        shape = bottom_shapes[0]
        if not shape or math.prod(shape[1:]) != 1:
            raise self.shape_error(0, shape, "a number for each sample")
        return [(shape[0], self.options.num_output)]

    def forward(self, bottom, top):
        x, y = bottom[0].data.reshape(-1, 1), top[0].data
        self._check(x)
        np.subtract(self.classes, x, out=y)
        y /= self.options.deviation
        y *= -y / 2
        if self.options.normalize:
            softmax(y, 1, out=y)
        else:
            np.exp(y, out=y)
            y /= self.options.deviation

    def _check(self, x):
        least, most = self.classes[0], self.classes[-1]
        away = np.maximum(least - x, x - most)
        wrong = ~(away <= self.options.deviation)
        if wrong.any():
            at = int(np.argwhere(wrong)[0, 0])
            raise self.error(
                f'bottom[0] "{self.param.bottom[0]}" holds {x[at, 0]:g} for sample {at}, expected '
                f"numbers from {least:g} to {most:g}, as the classes are, or at most a deviation "
                f"({self.options.deviation:g}) outside; first and num_output say which classes"
            )
