import numpy as np

from ..activation.sigmoid import sigmoid
from ..base import Layer, register


@register("LSTMUnit")
class LSTMUnit(Layer):
    """c = f * c_prev + i * g, h = o * tanh(c): one step of an LSTM, given the sums of its gates.

    i, f, o = sigmoid and g = tanh of the sums, and f is multiplied by cont.

    Bottom
        0: c_prev, (1, N, H)
        1: sums of i, f, o and g, (1, N, 4H)
        2: cont, (1, N): 0 where a stream starts anew, else 1; no gradient
    Top
        0: c, (1, N, H)
        1: h, (1, N, H)
    """

    drawn_as = "dense"
    bottoms = 3
    tops = 2
    no_gradient = (2,)

    def infer_shapes(self, bottom_shapes):
        c, sums, cont = (tuple(shape) for shape in bottom_shapes)
        if len(c) != 3 or c[0] != 1:
            raise self.shape_error(0, c, "(1, streams, units)")
        if sums != (1, c[1], 4 * c[2]):
            raise self.shape_error(1, sums, f"{(1, c[1], 4 * c[2])}, 4 gates for each unit")
        if cont != (1, c[1]):
            raise self.shape_error(2, cont, f"{(1, c[1])}, a number for each stream")
        return [c, c]

    def forward(self, bottom, top):
        c_prev, sums, cont = (b.data[0] for b in bottom)
        self.gates = sums.copy()
        i, f, o, g = np.split(self.gates, 4, axis=1)
        for gate in (i, f, o):
            sigmoid(gate, out=gate)
        np.tanh(g, out=g)
        f *= cont[:, None]
        c = f * c_prev
        c += i * g
        self.tanh_c = np.tanh(c)
        top[0].data[0] = c
        np.multiply(o, self.tanh_c, out=top[1].data[0])

    def backward(self, top, propagate_down, bottom):
        if propagate_down[2]:
            raise self.error("there is no gradient for cont, bottom[2]")
        i, f, o, g = np.split(self.gates, 4, axis=1)
        dc, dh = top[0].diff[0], top[1].diff[0]
        dc = dc + dh * o * (1 - self.tanh_c**2)
        if propagate_down[0]:
            np.multiply(dc, f, out=bottom[0].diff[0])
        if propagate_down[1]:
            di, df, do, dg = np.split(bottom[1].diff[0], 4, axis=1)
            di[...] = dc * g * i * (1 - i)
            df[...] = dc * bottom[0].data[0] * f * (1 - f)
            do[...] = dh * self.tanh_c * o * (1 - o)
            dg[...] = dc * i * (1 - g**2)
