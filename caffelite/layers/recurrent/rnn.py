import numpy as np

from ...kernels.gemm import gemm
from ..base import register
from ._recurrent import Recurrent


@register("RNN")
class RNN(Recurrent):
    """h_t = tanh(W_hh h_(t-1) + W_xh x_t + b_h), y_t = tanh(W_ho h_t + b_o), for T steps.

    Between batches the state goes on; no gradient does.

    Bottom
        0: x, (T, N, ...): T steps of N streams
        1: cont, (T, N): 0 where a stream starts anew, else 1; no gradient
        2: static, (N, ...), optional: seen at each step
        last: with expose_hidden, h_0, (1, N, H); no gradient
    Top
        0: y, (T, N, H)
        1: with expose_hidden, h_T, (1, N, H); gradients that arrive here are ignored
    Blobs
        input_weight, bias: W_xh (H, D) and b_h (H)
        static_weight: (H, S), with static
        hidden_weight, output_weight, output_bias: W_hh (H, H), W_ho (H, H) and b_o (H)
    Options (recurrent_param)
        num_output: H
        weight_filler, bias_filler: of all weights, of both biases [constant 0]
        expose_hidden: take the first state as a bottom and give the last as a top [false]
        peephole, coupled, forget_bias: refused, they are for an LSTM
        debug_info: does nothing
    """

    refused = {
        f"recurrent_param.{option}": "is an option of an LSTM"
        for option in ("peephole", "coupled", "forget_bias")
    }

    def add_hidden_blobs(self):
        options, h = self.options, self.units
        self.hidden_weight = self.add_blob("hidden_weight", (h, h), options.weight_filler)
        self.output_weight = self.add_blob("output_weight", (h, h), options.weight_filler)
        self.output_bias = self.add_blob("output_bias", (h,), options.bias_filler)

    def run(self, sums, cont, states):
        h, self.cont = sums, cont  # tanh is taken in the place of the sums
        self.seen = np.empty_like(h)
        before = states[0]
        for t in range(len(h)):
            np.multiply(cont[t], before, out=self.seen[t])
            gemm(self.seen[t], self.hidden_weight.data, h[t], trans_b=True, accumulate=True)
            before = np.tanh(h[t], out=h[t])
        y = np.empty_like(h)
        y[...] = self.output_bias.data
        flat_h, flat_y = (a.reshape(-1, self.units) for a in (h, y))
        gemm(flat_h, self.output_weight.data, flat_y, trans_b=True, accumulate=True)
        np.tanh(y, out=y)
        self.h, self.y = h, y
        return y, [h[-1]]

    def run_back(self, dy):
        dy_sum = dy * (1 - self.y**2)
        dh = np.empty_like(self.h)
        flat_dy, flat_h, flat_dh, seen = (
            a.reshape(-1, self.units) for a in (dy_sum, self.h, dh, self.seen)
        )
        gemm(flat_dy, flat_h, self.output_weight.diff, trans_a=True, accumulate=True)
        self.output_bias.diff[...] += flat_dy.sum(axis=0)
        gemm(flat_dy, self.output_weight.data, flat_dh)
        dseen = np.empty_like(dh[0])
        for t in reversed(range(len(dh))):
            dh[t] *= 1 - self.h[t] ** 2
            if t > 0:
                gemm(dh[t], self.hidden_weight.data, dseen)
                dh[t - 1] += self.cont[t] * dseen
        gemm(flat_dh, seen, self.hidden_weight.diff, trans_a=True, accumulate=True)
        return dh
