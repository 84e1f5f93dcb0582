import math

import numpy as np

from ...kernels import lstm
from ...kernels._cell import COUPLED, PEEPHOLE, PREVIOUS
from ...kernels._jit import thread_count
from ...kernels._tiles import TILE_ROWS
from ...kernels._workspace import workspace
from ...kernels.gemm import gemm
from ...kernels.panels import Panels
from ...proto import caffe_pb2
from ..base import register
from ._recurrent import FEW_STEPS, Recurrent, times


@register("LSTM")
class LSTM(Recurrent):
    """c_t = f * c_(t-1) + i * g, h_t = o * tanh(c_t), y = h, for T steps.

    The gates are i, f, o = sigmoid and g = tanh of the rows of W_xc x_t + W_hc h_(t-1) + b_c.
    Between batches the state goes on; no gradient does.

    Bottom
        0: x, (T, N, ...): T steps of N streams
        1: cont, (T, N): 0 where a stream starts anew, else 1; no gradient
        2: static, (N, ...), optional: seen at each step
        last: with expose_hidden, h_0 and c_0, (1, N, H); no gradient
    Top
        0: h, (T, N, H)
        1, 2: with expose_hidden, h_T and c_T, (1, N, H); gradients that arrive here are ignored
    Blobs
        input_weight, bias: W_xc (4H, D) and b_c (4H), rows i, f, o, g
        static_weight: (4H, S), with static
        hidden_weight: W_hc (4H, H)
        peepholes: (3, H), rows i, f, o
    Options (recurrent_param)
        num_output: H
        weight_filler, bias_filler: of all weights, of the bias [constant 0]
        expose_hidden: take the first state as bottoms and give the last as tops [false]
        peephole: add p * c to the sums of the gates, c_(t-1) for i and f, c_t for o [false]
        peephole_previous: with peephole, c_(t-1) for o, too, as some textbooks have it [false]
        coupled: i = 1 - f; everywhere the rows i are missing [false]
        forget_bias: add to the sum of f [0]
        output_hidden, hidden_activation, output_activation: refused, they are for an RNN
        debug_info: does nothing
    Source
        Hochreiter, Schmidhuber 1997; Gers, Schraudolph, Schmidhuber 2002 (peepholes);
        Greff, Srivastava, Koutnik, Steunebrink, Schmidhuber 2015, arXiv:1503.04069 (coupled)
    """

    refused = {
        f"recurrent_param.{option}": "is an option of an RNN"
        for option in ("output_hidden", "hidden_activation", "output_activation")
    }
    num_states = 2
    limit = 0.0  # on gradients at the sums of the gates; 0 for none

    def setup(self, bottom_shapes):
        if self.options.peephole_previous and not self.options.peephole:
            raise self.error(
                "peephole_previous says which state of the cell o sees, but without peephole: true "
                "no gate sees it; write both, or neither"
            )
        super().setup(bottom_shapes)

    @property
    def rows(self):
        return 3 if self.options.coupled else 4

    def add_hidden_blobs(self):
        filler, shape = self.options.weight_filler, (self.rows * self.units, self.units)
        self.hidden_weight = self.add_blob("hidden_weight", shape, filler)
        self.peepholes = None
        if self.options.peephole:
            shape = self.rows - 1, self.units
            self.peepholes = self.add_blob("peepholes", shape, filler)

    @property
    def kind(self):
        """Which cell it is, for kernels."""
        options = self.options
        peephole = options.peephole * PEEPHOLE + options.peephole_previous * PREVIOUS
        return options.coupled * COUPLED + peephole

    def run(self, sums, cont, states):
        self.gates, self.cont = sums, cont  # gates are taken in the place of their sums
        steps, streams, width = sums.shape
        self.seen_h, self.seen_c = self.room("seen", (2, steps, streams, self.units))
        self.c, h = self.room("states", (2, steps + 1, streams, self.units))
        h[0], self.c[0] = states
        if self.options.forget_bias:
            forget = width - 3 * self.units
            sums[:, :, forget : forget + self.units] += self.options.forget_bias
        weight = self.hidden_weight.data
        arrays = sums, cont, self.seen_h, self.seen_c, self._peepholes(), self.c, h
        if parts := self._parts():
            packed = Panels(weight, trans_b=True)
            self._over_steps(lstm.forward, (0, steps), arrays, packed, parts)
        else:
            hidden = times(weight, steps, trans_b=True)
            for t in range(steps):
                np.multiply(cont[t], h[t], out=self.seen_h[t])
                hidden(self.seen_h[t], out=sums[t], accumulate=True)
                self._over_steps(lstm.forward, (t, t + 1), arrays)
        return h[1:], [h[-1], self.c[-1]]

    def _parts(self):
        """Among how many threads streams are shared out, each for all steps; or 0.

        Steps run one by one where they are few, and where streams are, for whose tiles there are
        more threads, so that these share out the weights.
        """
        steps, streams, width = self.gates.shape
        each = streams * width * self.units
        most, threads = max(1, 2 * streams // TILE_ROWS), thread_count(steps * each)
        if steps < FEW_STEPS or (threads > most and thread_count(each) > 1):
            return 0
        return min(threads, most)

    def _over_steps(self, kernel, numbers, arrays, weight=None, parts=1):
        """Run a kernel over steps, which multiplies with the `weight`, Panels, if there is one."""
        streams = self.gates.shape[1]
        packed = weight.packed if weight else np.empty(0, self.dtype)
        size = -(-streams // parts) * weight.k if weight else 0
        kernel.on(parts)(
            *(self.kind, self.units, streams, *numbers, *map(np.ravel, arrays), packed),
            *(workspace(self.dtype, parts * size), size),
        )

    def _peepholes(self):
        return self.hidden_weight.data[:1] if self.peepholes is None else self.peepholes.data

    def run_back(self, dy):
        dsums = self.room("dsums", self.gates.shape)
        (steps, streams, _), weight = dy.shape, self.hidden_weight.data
        dh, dc = np.zeros((2, streams, self.units), self.dtype)
        later = np.zeros((steps, streams), self.dtype)
        later[:-1] = self.cont[1:, :, 0]
        arrays = self.gates, later, self.seen_c, self._peepholes(), self.c, dy, dh, dc, dsums
        if parts := self._parts():
            numbers = 0, steps, self.limit
            self._over_steps(lstm.backward, numbers, arrays, Panels(weight), parts)
        else:
            hidden = times(weight, steps)
            for t in reversed(range(steps)):
                self._over_steps(lstm.backward, (t, t + 1, self.limit), arrays)
                hidden(dsums[t], out=dh)
        flat, seen = dsums.reshape(-1, dsums.shape[2]), self.seen_h.reshape(-1, self.units)
        gemm(flat, seen, self.hidden_weight.diff, trans_a=True, accumulate=True)
        if self.peepholes is not None:
            self._add_to_peepholes(dsums)
        return dsums

    def _add_to_peepholes(self, dsums):
        of_o = self.seen_c if self.options.peephole_previous else self.c[1:]
        seen = [*[self.seen_c] * (self.rows - 2), of_o]
        for k, cell in enumerate(seen):
            gate = dsums[:, :, k * self.units : (k + 1) * self.units]
            self.peepholes.diff[k] += (gate * cell).sum(axis=(0, 1))


@register("Lstm")
class Lstm(LSTM):
    """c_t = f * c_(t-1) + i * g, h_t = o * tanh(c_t), y = h: an LSTM over rows of a matrix.

    Row t * N + n is step t of stream n. Another layer than LSTM, of another fork of Caffe, with
    blobs in another order; what it computes is the same. No gradient goes from batch to batch.

    Bottom
        0: x, (T * N, ...): T steps of N streams
        1: clip, T * N values, optional: 0 where a stream starts anew; no gradient. With it, the
           state goes on from batch to batch; without it, each batch starts anew.
    Top
        0: h, (T * N, H)
    Blobs
        input_weight, hidden_weight: W_x (4H, D) and W_h (4H, H), rows i, f, o, g
        bias: (4H)
    Options (lstm_param)
        num_output: H
        clipping_threshold: bound on gradients at the sums of the gates; 0 for none [0]
        weight_filler, bias_filler: of both weights, of the bias [constant 0]
        batch_size: N [1]
    """

    options_field = "lstm_param"
    bottoms = (1, 2)
    sequence_axes = 1

    def __init__(self, param, **context):
        super().__init__(param, **context)
        given = self.options
        self.streams, self.limit = given.batch_size, given.clipping_threshold
        self.options = caffe_pb2.RecurrentParameter(
            num_output=given.num_output,
            weight_filler=given.weight_filler,
            bias_filler=given.bias_filler,
        )

    def add_blobs(self):
        self.add_input_weight()
        self.add_hidden_blobs()
        self.add_bias()

    def infer_shapes(self, bottom_shapes):
        x = tuple(bottom_shapes[0])
        rows = math.prod(x[:1])
        if self.streams == 0:
            raise self.error("batch_size is 0, expected the number of streams")
        if not x or rows % self.streams:
            expected = f"a multiple of batch_size {self.streams} on axis 0, steps times streams"
            raise self.shape_error(0, x, expected)
        if self.values not in (None, math.prod(x[1:])):
            raise self.shape_error(0, x, f"{self.values} values from axis 1 on, as at setup")
        if len(bottom_shapes) > 1 and math.prod(bottom_shapes[1]) != rows:
            raise self.shape_error(1, bottom_shapes[1], f"{rows} values, one for each row")
        return [(rows, self.units)]

    def extent(self, shape):
        return shape[0] // self.streams, self.streams

    def goes_on(self, bottom):
        shape = *self.extent(bottom[0].shape), 1
        if len(bottom) > 1:
            clip = (bottom[1].data != 0).astype(self.dtype).reshape(shape)
            self.tell_missing_start(clip)
            return clip
        cont = np.ones(shape, self.dtype)
        cont[:1] = 0
        return cont
