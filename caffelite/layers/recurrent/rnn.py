from functools import partial

import numpy as np

from ...kernels.gemm import gemm
from ...proto.caffe_pb2 import RecurrentParameter
from ..base import register
from ._recurrent import Recurrent, times

ACTIVATIONS = {  # name: (f, its slope where it gave y)
    "TANH": (np.tanh, lambda y: 1 - y**2),
    "RELU": (partial(np.maximum, 0), lambda y: y > 0),
    "IDENTITY": (np.positive, np.ones_like),
}


@register("RNN")
class RNN(Recurrent):
    """h_t = tanh(W_hh h_(t-1) + W_xh x_t + b_h), y_t = tanh(W_ho h_t + b_o), for T steps.

    Each tanh may be max(., 0), or nothing. With output_hidden, y_t = h_t: an InnerProduct of axis 2
    behind it makes o_t = V h_t + c of any length, as the textbooks have it, and a Softmax of axis 2
    its probabilities. Between batches the state goes on; no gradient does.

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
        hidden_weight: W_hh (H, H)
        output_weight, output_bias: W_ho (H, H) and b_o (H); not with output_hidden
    Options (recurrent_param)
        num_output: H
        weight_filler, bias_filler: of all weights, of both biases [constant 0]
        expose_hidden: take the first state as a bottom and give the last as a top [false]
        hidden_activation: TANH, RELU or IDENTITY, in h [TANH]
        output_activation: TANH, RELU or IDENTITY, in y; not with output_hidden [TANH]
        output_hidden: y = h [false]
        peephole, peephole_previous, coupled, forget_bias: refused, they are for an LSTM
        debug_info: does nothing
    Source
        Elman 1990; Le, Jaitly, Hinton 2015, arXiv:1504.00941 (ReLU)
    """

    refused = {
        f"recurrent_param.{option}": "is an option of an LSTM"
        for option in ("peephole", "peephole_previous", "coupled", "forget_bias")
    }

    def setup(self, bottom_shapes):
        options = self.options
        self.hidden, self.output = (
            ACTIVATIONS[RecurrentParameter.Activation.Name(value)]
            for value in (options.hidden_activation, options.output_activation)
        )
        if options.output_hidden and options.HasField("output_activation"):
            raise self.error(
                "output_activation and output_hidden are both given: the output is the state, "
                "whose activation is hidden_activation; keep one of them"
            )
        super().setup(bottom_shapes)

    def add_hidden_blobs(self):
        options, h = self.options, self.units
        self.hidden_weight = self.add_blob("hidden_weight", (h, h), options.weight_filler)
        if not options.output_hidden:
            self.output_weight = self.add_blob("output_weight", (h, h), options.weight_filler)
            self.output_bias = self.add_blob("output_bias", (h,), options.bias_filler)

    def run(self, sums, cont, states):
        h, self.cont = sums, cont  # the activation is taken in the place of the sums
        self.seen, (f, _) = np.empty_like(h), self.hidden
        before, hidden = states[0], times(self.hidden_weight.data, len(h), trans_b=True)
        for t in range(len(h)):
            np.multiply(cont[t], before, out=self.seen[t])
            self.seen[t][cont[t, :, 0] == 0] = 0  # a state that is not bounded may be infinite
            hidden(self.seen[t], out=h[t], accumulate=True)
            before = f(h[t], out=h[t])
        self.h = self.y = h
        if not self.options.output_hidden:
            self.y = self._output(h)
        return self.y, [h[-1]]

    def _output(self, h):
        y = np.empty_like(h)
        y[...] = self.output_bias.data
        flat_h, flat_y = (a.reshape(-1, self.units) for a in (h, y))
        gemm(flat_h, self.output_weight.data, flat_y, trans_b=True, accumulate=True)
        return self.output[0](y, out=y)

    def run_back(self, dy):
        dh = dy.copy() if self.options.output_hidden else self._output_back(dy)
        dseen, (_, slope) = np.empty_like(dh[0]), self.hidden
        hidden = times(self.hidden_weight.data, len(dh))
        for t in reversed(range(len(dh))):
            dh[t] *= slope(self.h[t])
            if t > 0:
                hidden(dh[t], out=dseen)
                dh[t - 1] += self.cont[t] * dseen
        flat_dh, seen = (a.reshape(-1, self.units) for a in (dh, self.seen))
        gemm(flat_dh, seen, self.hidden_weight.diff, trans_a=True, accumulate=True)
        return dh

    def _output_back(self, dy):
        dsums, dh = dy * self.output[1](self.y), np.empty_like(self.h)
        flat_dsums, flat_h, flat_dh = (a.reshape(-1, self.units) for a in (dsums, self.h, dh))
        gemm(flat_dsums, flat_h, self.output_weight.diff, trans_a=True, accumulate=True)
        self.output_bias.diff[...] += flat_dsums.sum(axis=0)
        gemm(flat_dsums, self.output_weight.data, flat_dh)
        return dh
