import numpy as np

from ...kernels.epilogue import CLIPPED
from ..base import register
from .relu import ReLU


@register("ReLU6")
class ReLU6(ReLU):
    """y = min(x, 6) where x > 0, negative_slope * x elsewhere.

    Bottom
        0: x, any shape
    Top
        0: y, the shape of x; may reuse x's memory if negative_slope >= 0
    Options (relu6_param)
        negative_slope: slope below 0 [0]
        engine: changes nothing; CUDNN is refused [DEFAULT]
    Source
        Krizhevsky 2010, Convolutional deep belief networks on CIFAR-10
    """

    options_field = "relu6_param"
    limit = 6

    @property
    def reads_top(self):
        return "values" if self.param.bottom == self.param.top else None

    def activation(self):
        if self.slope != 0:
            return None
        return {"activation": CLIPPED, "low": 0, "high": self.limit}

    def forward(self, bottom, top):
        super().forward(bottom, top)
        np.minimum(top[0].data, self.limit, out=top[0].data)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            below = bottom[0].data < self.limit
            super().backward(top, propagate_down, bottom)
            bottom[0].diff[...] *= below
