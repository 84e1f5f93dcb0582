from ...kernels import relu
from ...kernels.epilogue import LEAKY, RELU
from ..base import register
from ._elementwise import Elementwise


@register("ReLU")
class ReLU(Elementwise):
    """y = x where x > 0, negative_slope * x elsewhere.

    NaN stays NaN. With slope 0, -inf gives NaN (0 times infinity), as in Caffe.

    Bottom
        0: x, any shape
    Top
        0: y, the shape of x; may reuse x's memory if negative_slope >= 0
    Options (relu_param)
        negative_slope: slope below 0 (leaky ReLU) [0]
        engine: changes nothing; CUDNN is refused [DEFAULT]
    Source
        Nair, Hinton 2010; with a slope: Maas, Hannun, Ng 2013
    """

    options_field = "relu_param"
    role = "activation"
    rectifies = True
    keeps_signs = True
    gradient_from_top = True
    replays = True

    @property
    def in_place(self):
        return self.options.negative_slope >= 0  # else y > 0 does not tell the sign of x

    @property
    def reads_top(self):
        return "signs" if self.param.bottom == self.param.top else None

    def setup(self, bottom_shapes):
        self.slope = self.dtype.type(self.options.negative_slope)

    def activation(self):
        if self.slope == 0:
            return {"activation": RELU}
        return {"activation": LEAKY, "leak": self.slope}

    def forward(self, bottom, top):
        relu.forward(bottom[0].data.reshape(-1), self.slope, top[0].data.reshape(-1))

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            x, dy, dx = bottom[0].data, top[0].diff, bottom[0].diff
            relu.backward(x.reshape(-1), dy.reshape(-1), self.slope, dx.reshape(-1))
